import { deepStrictEqual } from 'node:assert/strict';
import { compileModel } from '../src/compile/compile.ts';
import { BUILT_IN } from '../src/compile/devices/builtIn.ts';
import { parseProfile, profileText } from '../src/compile/devices/file.ts';
import { adapterKind } from '../src/runtime/adapterKind.ts';
import { compileDevice } from '../src/session/compileDevice.ts';
import { compileDeviceOf } from '../src/session/sessionDevice.ts';
import { tinyModel } from '../test/support/tinyModels.ts';

deepStrictEqual(adapterKind({ vendor: 'qualcomm', architecture: 'adreno-7xx', description: 'Adreno (TM) 740' }), 'adreno');
const profile = BUILT_IN.adreno;
deepStrictEqual(parseProfile(profileText(profile), 'phone.json'), profile);
deepStrictEqual(compileDevice({ device: 'adreno', standalone: false }), { profile });
compileModel(tinyModel(), { device: compileDeviceOf({ device: { profile } }) });
