local file = require "moonwire.file"
local folder = require "spec.support.folder"
local template = require "moonwire.http.template"

local function render(text, values, options)
  return template.compile(text, options):render(values)
end

local function refusal(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  return message
end

describe("a template", function()
  it("escapes values wherever they stand", function()
    local odd = [[<a href="x">'&]]
    assert.are.equal([[<p title="&lt;a href=&quot;x&quot;&gt;&#39;&amp;">]],
      render('<p title="{{ odd }}">', { odd = odd }))
    assert.are.equal("&lt;b&gt;", render("{{ '<b>' }}"))
    assert.are.equal("&lt;B&gt;", render("{{ v | upper }}", { v = "<b>" }))
    assert.are.equal(odd, render("{{{ odd }}}", { odd = odd }))
    assert.are.equal("&lt;{{ x }}&gt;", render("{{ v }}", { v = "<{{ x }}>" }))
  end)

  it("shows text, numbers, booleans, what has __tostring, and nothing for nil", function()
    local object = setmetatable({}, { __tostring = function() return "<o>" end })
    assert.are.equal("x 1 1.5 false  &lt;o&gt;", render("{{ a }} {{ b }} {{ c }} {{ d }} {{ e }} {{ f }}",
      { a = "x", b = 1, c = 1.5, d = false, f = object }))
    assert.matches("^template:2: a table cannot be shown", refusal(render, "\n{{ a }}", { a = {} }))
  end)

  it("computes", function()
    local values = { a = 6, b = { c = { "x", "y" } }, s = "t", no = false }
    for text, expected in pairs {
      ["a * 2 + 1"] = "13", ["1 + 2 * 3 - 4 / 2"] = "5.0", ["(1 + 2) * 3"] = "9", ["-a"] = "-6",
      ["7 % 4"] = "3",
      ["b.c[2]"] = "y", ["b['c'][1]"] = "x", ["#b.c"] = "2", ["s .. a"] = "t6",
      ["a == 6 and 'yes' or 'no'"] = "yes",
      ["not a"] = "false", ["a >= 6 and a ~= 7 and a < 10 and a <= 6 and not (a > 6)"] = "true",
      ["no or nil"] = "",
      ["nothing or 'else'"] = "else", ["'a\\'\\n' .. \"b\""] = "a&#39;\nb", ["2.5"] = "2.5",
      ["true"] = "true",
      ["s .. '}}'"] = "t}}", ["- - 1"] = "1", ["not not a"] = "true", ["'%d %s'"] = "%d %s",
    } do
      assert.are.equal(expected, render("{{ " .. text .. " }}", values), text)
    end
  end)

  it("has filters, and takes more", function()
    for text, expected in pairs {
      ["'aB' | upper | lower"] = "ab", ["'  x ' | trim"] = "x", ["'a b/ä' | url"] = "a%20b%2F%C3%A4",
      ["list | join"] = "1, 2", ["list | join('-')"] = "1-2", ["3.14159 | fixed"] = "3.14",
      ["2 | fixed(1)"] = "2.0",
      ["0 | date"] = "1970-01-01 00:00:00", ["0 | date('%Y')"] = "1970", ["2 | plus(3 * 2, 1)"] = "9",
    } do
      assert.are.equal(expected, render("{{ " .. text .. " }}", { list = { 1, 2 } }, {
        filters = { plus = function(a, b, c) return a + b + c end },
      }), text)
    end
  end)

  it("writes data for scripts so that nothing ends them", function()
    assert.are.equal([[<script>let x = {"a":"\u003c/script\u003e\u0026\u2028\u2029"}</script>]],
      render("<script>let x = {{{ x | json }}}</script>", { x = { a = "</script>&\u{2028}\u{2029}" } }))
  end)

  it("writes nothing for scripts as null", function()
    assert.are.equal("null false", render("{{{ x | json }}} {{{ no | json }}}", { no = false }))
  end)

  it("branches", function()
    local text = "{% if a == 1 %}one{% elseif a == 2 %}two{% else %}many{% end %}"
    assert.are.equal("one two many", ("%s %s %s"):format(
      render(text, { a = 1 }), render(text, { a = 2 }), render(text, { a = 3 })))
  end)

  it("repeats", function()
    assert.are.equal("[x][y]", render("{% for v in list %}[{{ v }}]{% end %}", { list = { "x", "y" } }))
    assert.are.equal("1x2y", render("{% for i, v in list %}{{ i }}{{ v }}{% end %}", { list = { "x", "y" } }))
    assert.are.equal("1=c a=1 b=2 ", render("{% for k, v of map %}{{ k }}={{ v }} {% end %}", {
      map = { b = 2, a = 1, "c" },
    }))
    assert.are.equal("ax ay bx by v", render(
      "{% for a in one %}{% for v in two %}{{ a }}{{ v }} {% end %}{% end %}{{ v }}",
      { one = { "a", "b" }, two = { "x", "y" }, v = "v" }))
    assert.matches("^template:1: a table to go through expected, got nil",
      refusal(render, "{% for v in list %}{% end %}"))
  end)

  it("has variables of its own", function()
    assert.are.equal("3", render("{% set n = 0 %}{% for v in list %}{% set n = n + 1 %}{% end %}{{ n }}",
      { list = { 1, 1, 1 } }))
    assert.are.equal("1", render("{% if true %}{% set v = 2 %}{% end %}{{ v }}", { v = 1 }))
    local values = { v = 1 }
    render("{% set v = 2 %}", values)
    assert.are.equal(1, values.v)
  end)

  it("drops lines in which only a statement or a comment stands", function()
    assert.are.equal("a\n  b\nc\n", render("a\n  {% if true %}\n  b\n  {% end %}  \n{# x\n y #}\nc\n"))
    assert.are.equal("a\r\nb", render("{% if true %}\r\na\r\n{% end %}\r\nb"))
    assert.are.equal("x {% y %}\n", render("{% set a = 1 %}{{ 'x' }} {{ '{% y %}' }}\n"))
  end)

  it("leaves other braces alone", function()
    assert.are.equal("{ a } {x} }} %} #}", render("{ a } {x} }} %} #}"))
    assert.are.equal("", render(""))
    assert.are.equal("\0\r\n\\\"]]", render("\0\r\n\\\"]]"))
  end)

  describe("names the line", function()
    it("of what cannot be read", function()
      for text, problem in pairs {
        ["a\n{% if x %}\n"] = "2: 'if' without its end", ["a\n\n{{ x"] = "3: '}}' is missing",
        ["{{ x y }}"] = "1: 'y' stands behind the end", ["{% foo %}"] = "1: no such statement: 'foo'",
        ["\n{% end %}"] = "2: 'end' without anything", ["{% else %}"] = "1: 'else' without anything",
        ["{% for a in b %}{% else %}{% end %}"] = "1: 'else' outside of 'if'",
        ["{% for x on y %}{% end %}"] = "1: 'for NAME in LIST'",
        ["{% for x of y %}{% end %}"] = "1: 'for NAME in LIST'",
        ["{{\n\nx | nix }}"] = "3: no filter 'nix'", ["{{ f() }}"] = "1: '%(' stands behind the end",
        ["{# x"] = "1: a comment without '#}'", ["{{ }}"] = "1: a value expected",
        ["{% %}"] = "1: no such statement",
        ["{{ 'a }}"] = "1: '}}' is missing", ["{{ a. }}"] = "1: a name expected",
        ["{{ a[1 }}"] = "1: '%]' expected",
        ["{{ 1 // 2 }}"] = "1: a value expected", ["{% if %}{% end %}"] = "1: 'if': something expected",
        ["{% set 1 = 2 %}"] = "1: 'set NAME = VALUE'", ["{% set nil = 2 %}"] = "1: 'nil' is no name",
        ["{{ a ; b }}"] = "1: '; b ?' is not understood", ["{{ '\\x' }}"] = "1: no escape '\\x'",
        ["{{ " .. ("("):rep(60) .. "1" .. (")"):rep(60) .. " }}"] = "1: an expression of more than 50 levels",
        ["{% end x %}"] = "1: 'end'", ["{{ function() end }}"] = "1: '%(' stands behind",
        ["{{ {} }}"] = "1: '{} ' is not",
      } do
        assert.matches("^spec/http/template_spec.lua:%d+: template:" .. problem,
          refusal(function() template.compile(text) end), nil, text)
      end
    end)

    it("of what goes wrong", function()
      assert.matches("^page.html:4: attempt to index a nil value %(field 'user'%)",
        refusal(render, "a\n{{ 1 }}\n\n{{ user.name }}", {}, { name = "page.html" }))
      assert.matches("^template:2: filter 'json': .*a value of type function",
        refusal(render, "\n{{ a | json }}", { a = print }))
      assert.matches("^template:2: filter 'own': spec/http/template_spec.lua:%d+: no", refusal(render,
        "\n{{ a | own }}", {}, { filters = { own = function() error "no" end } }))
      assert.matches("^template:1: filter 'fixed': .*number expected", refusal(render, "{{ 'x' | fixed }}"))
      assert.matches("^template:3: attempt to perform arithmetic",
        refusal(render, "{% if true %}\n\n{{ a + 1 }}{% end %}", {}))
    end)
  end)

  it("reaches nothing but its values", function()
    for _, name in ipairs { "os", "_G", "_ENV", "io", "require", "string", "values", "out", "escape",
      "filters", "own" } do
      assert.are.equal("", render("{{ " .. name .. " }}"), name)
    end
    assert.matches("a function cannot be shown", refusal(render, "{{ s.rep }}", { s = "x" }))
    for _, text in ipairs { "{{ os.exit() }}", "{{ s:rep(5) }}", "{{ ('x').rep(9) }}" } do
      assert.is_false((pcall(render, text, { s = "x" })))
    end
  end)

  it("is not made of anything but text", function()
    assert.matches("#1 to 'compile'", refusal(template.compile, 1))
    assert.matches("unknown option 'x'", refusal(template.compile, "", { x = 1 }))
    assert.matches("'extends' and 'include' are for", refusal(template.compile, "{% extends 'x' %}"))
    assert.matches("'include' is for templates of a folder", refusal(render, "{% include 'x' %}"))
  end)
end)

describe("templates of a folder", function()
  local place, pages

  before_each(function()
    place = folder.new()
    pages = assert(template.folder(place.path))
  end)

  after_each(function()
    place:remove()
  end)

  local function write(files)
    for name, text in pairs(files) do
      place:write(name, text)
    end
  end

  it("include others, with their own variables", function()
    write {
      ["page.html"] = "{% for user in users %}{% include 'part/row.html' %}{% end %}{% include 'foot' %}",
      ["part/row.html"] = "<{{ user }} of {{ #users }}>", foot = "{{ user }}.\n",
    }
    assert.are.equal("<a of 2><b of 2>.\n", pages:render("page.html", { users = { "a", "b" } }))
  end)

  it("extend others", function()
    write {
      layout = "<title>{% block title %}none{% end %}</title>\n"
        .. "{% for x in list %}{% block row %}[{{ x }}]{% end %}{% end %}",
      page = "{% extends 'layout' %}\n\n{% block title %}My {{ name }}{% end %}\n",
      sub = "{% extends 'page' %}{% block row %}<{{ x }}>{% include 'foot' %}{% end %}", foot = "({{ x }})",
    }
    local values = { name = "&", list = { 1, 2 } }
    assert.are.equal("<title>none</title>\n[1][2]", pages:render("layout", values))
    assert.are.equal("<title>My &amp;</title>\n[1][2]", pages:render("page", values))
    assert.are.equal("<title>My &amp;</title>\n<1>(1)<2>(2)", pages:render("sub", values))
  end)

  it("name themselves in errors", function()
    write {
      page = "\n{% include 'part' %}", part = "\n\n{{ a.b }}", bad = "\n{% if %}",
      loop = "{% include 'loop' %}",
      ring = "{% extends 'ring' %}", lost = "{% extends 'page' %}\nlost",
      late = "{{ 1 }}{% block a %}{% end %}{% extends 'page' %}",
      twice = "{% block a %}{% end %}{% block a %}{% end %}", missing = "{% include 'nowhere' %}",
    }
    for name, problem in pairs {
      page = "^part:3: attempt to index a nil value %(field 'a'%)", bad = "^bad:2: 'if'",
      loop = "more than 32 templates within each other",
      ring = "more than 32 templates that extend each other",
      lost = "^lost:2: outside of the blocks", late = "^late:1: 'extends' stands once, at the beginning",
      twice = "^twice:1: a second block 'a'", missing = "^missing: read nowhere: no such file",
      nix = "read nix: no such file",
      ["../x"] = "leads out of the folder",
    } do
      assert.matches(problem, refusal(pages.render, pages, name, {}))
    end
  end)

  it("are read once, or anew each time", function()
    write { page = "old" }
    local fresh = assert(template.folder(place.path, { fresh = true }))
    assert.are.equal("old old", pages:render "page" .. " " .. fresh:render "page")
    write { page = "new" }
    assert.are.equal("old new", pages:render "page" .. " " .. fresh:render "page")
  end)

  it("come one by one, with filters", function()
    write { page = "{{ 2 | twice }}" }
    local root = assert(file.root(place.path))
    local own = assert(template.folder(root, { filters = { twice = function(n) return n * 2 end } }))
    assert.are.equal("4", assert(own:get "page"):render())
    assert.are.same({ nil, "not_found" }, { (own:get "nix"), (select(3, own:get "nix")) })
    assert.are.equal("not_found", (select(3, template.folder "/nowhere/at/all")))
  end)
end)

describe("template.escape", function()
  it("escapes five characters", function()
    assert.are.equal("&amp;&lt;&gt;&quot;&#39;x", template.escape "&<>\"'x")
    assert.are.equal("1", template.escape(1))
    assert.are.equal("", template.escape(nil))
  end)
end)
