/** @file How templates fail: by an error that Python or Jinja2 would raise, or because something of Jinja2 is not here. */

/** An error of a template. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
  /** The error's name in Python, such as TypeError, or `unsupported` for what Jinja2 renders and this engine does not. */
  readonly kind: string;

  constructor(kind: string, message: string) {
    super(kind === 'unsupported' ? `${message} is not supported` : `${kind}: ${message}`);
    this.kind = kind;
  }
}

/** @throws TemplateError as Python raises it */
export function raise(kind: string, message: string): never {
  throw new TemplateError(kind, message);
}

/** Refuses what Jinja2 renders and this engine does not, so that it is never rendered otherwise. @throws TemplateError */
export function unsupported(what: string): never {
  throw new TemplateError('unsupported', what);
}
