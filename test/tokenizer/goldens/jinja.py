"""Renders templates by Jinja2 as transformers sets it up: the truth that test/tokenizer/jinja.test.ts compares with.

Usage: python golden.py > jinja.golden.json
"""
import json
import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)

ENVIRONMENT = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
ENVIRONMENT.filters["tojson"] = tojson
ENVIRONMENT.globals["raise_exception"] = raise_exception

FIELDS = {
    "s": "  --Hello, wide world.--  ", "code": "\n\n    return 4\n", "name": "jane o'neil-smith", "empty": "", "none": None,
    "n": 3, "f": 0.5, "neg": -7, "yes": True, "list": ["b", "a", "c"], "nums": [3, 1, 2],
    "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho", "tool_calls": [{"function": {"name": "g", "arguments": {"x": 1, "y": [True, None]}}}]}],
    "nested": {"b": {"d": 1}, "a": "ä<&>'\""}, "unicode": "naïve 😀 ½",
}

TEMPLATES = [
    "{{ s.strip() }}|", "{{ s.lstrip() }}|", "{{ s.rstrip() }}|", "{{ s.strip(' -') }}|", "{{ code.lstrip('\\n') }}|", "{{ code.rstrip('\\n') }}|", "{{ s.strip().strip('-.') }}|",
    "{{ name.title() }}", "{{ name|title }}", "{{ name.upper() }}", "{{ name|capitalize }}", "{{ name.capitalize() }}", "{{ s.split(',')[0] }}|", "{{ s.split() }}", "{{ name.split(' ', 1) }}",
    "{{ s.replace('Hello', 'Bye') }}", "{{ name.startswith('jane') }}", "{{ name.endswith(('x', 'smith')) }}", "{{ name.find('o') }}", "{{ 'a' in name }}",
    "{{ 'x' ~ ('y' if n > 5) ~ 'z' }}", "{{ ('y' if n > 5) }}|", "{{ 'x' ~ none ~ 'z' }}", "{{ missing }}|", "{{ missing is defined }}", "{{ none is none }}", "{{ missing is none }}", "{{ messages[0].nothing is defined }}",
    "{{ n / 2 }}", "{{ 4 / 2 }}", "{{ 7 // 2 }}", "{{ neg // 2 }}", "{{ neg % 3 }}", "{{ f }}", "{{ f * 2 }}", "{{ 2 ** 3 }}", "{{ n + f }}", "{{ 1.0 }}", "{{ n|float }}", "{{ '3.0'|float }}", "{{ '7'|int + 1 }}", "{{ 1e20 }}", "{{ 0.1 + 0.2 }}",
    "{{ yes }}", "{{ not yes }}", "{{ none }}", "{{ list }}", "{{ nested }}", "{{ messages[1].tool_calls }}", "{{ yes and n }}", "{{ empty or 'else' }}", "{{ list|join(', ') }}", "{{ nums|sort }}", "{{ list|sort|join }}", "{{ nums|sum }}", "{{ nums|max }}", "{{ list|first }}{{ list|last }}", "{{ list|length }}", "{{ list|reverse|list }}",
    "{{ nested|tojson }}", "{{ nested|tojson(indent=2) }}", "{{ messages[1].tool_calls[0].function.arguments|tojson }}", "{{ unicode|tojson }}", "{{ nested|tojson(separators=(',', ':')) }}", "{{ list|string }}", "{{ nested|items|list }}", "{{ nested|dictsort }}", "{{ nested.keys()|list }}", "{{ nested.get('zz', 'none') }}", "{{ nested['a'] }}",
    "{% for m in messages %}{{ loop.index }}{{ loop.first }}{{ loop.last }}{{ m.role }};{% endfor %}", "{% for m in messages if m.role == 'user' %}{{ m.content }}{% else %}none{% endfor %}", "{% for k, v in nested.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% set ns = namespace(x=0) %}{% for i in range(3) %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}", "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% macro m(a, b='B') %}[{{ a }}{{ b }}]{% endmacro %}{{ m(1) }}{{ m(1, b=2) }}", "{%- if true -%}  a  {%- endif -%}  b", "  {% if true %}\nx\n  {% endif %}\ny\n", "{# comment #}x", "{{ 'a\\nb' }}", "{{ \"it's\" }}", "{% raw %}{{ x }}{% endraw %}",
    "{{ messages|map(attribute='role')|join(',') }}", "{{ messages|selectattr('role', 'equalto', 'user')|list|length }}", "{{ messages|rejectattr('tool_calls')|map(attribute='content')|list }}", "{{ messages[-1].role }}", "{{ messages[1:]|length }}", "{{ name[::-1] }}", "{{ name[2:6] }}", "{{ unicode|length }}", "{{ unicode[6] }}", "{{ unicode.upper() }}",
    "{{ '%s-%d' % ('a', 3) }}", "{{ '{} {}'.format('a', 1) }}", "{{ n is odd }}{{ n is even }}", "{{ n is number }}{{ name is string }}{{ list is iterable }}{{ nested is mapping }}", "{{ list is sequence }}", "{{ 3 == 3.0 }}", "{{ 'b' > 'a' }}", "{{ [1] + [2] }}", "{{ (1, 'a') }}", "{{ {'k': 1} }}", "{{ nums[0] if nums else 'no' }}", "{{ name|trim|replace('jane', 'J')|upper }}",
    "{{ 'abc'|indent(2) }}", "{{ 'a\\nb'|indent(2) }}", "{{ 'a\\nb'|indent(2, true) }}", "{{ list|unique|list }}", "{{ none|default('d') }}", "{{ missing|default('d') }}", "{{ empty|default('d', true) }}", "{{ nums|map('string')|join('+') }}", "{{ s|wordcount }}", "{{ -n }}", "{{ n|abs }}", "{{ 10|string + '%' }}", "{{ 12345678901234567890 }}", "{{ 0.00001 }}", "{{ 1000000 * 1000000 }}",
]

golden = []
for source in TEMPLATES:
    try:
        golden.append({"source": source, "text": ENVIRONMENT.from_string(source).render(**FIELDS)})
    except Exception as error:
        golden.append({"source": source, "error": type(error).__name__})
print(json.dumps({"fields": FIELDS, "cases": golden}, ensure_ascii=False, indent=1))
