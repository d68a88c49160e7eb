-- The commands tell of themselves what the man page and the pages tell of them.
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

local function help(...)
  local status, output = process.run { moonwire.binary, ... }
  assert.are.equal(0, status)
  return output
end

local function commands()
  local names = {}
  for name in help "--help":gmatch "\n  (%l+) +[^\n]+" do
    names[#names + 1] = name
  end
  return names
end

-- "-l, --listen ADDRESS" for each option that the help describes.
local function options_of_help(text)
  local options = {}
  for line in text:gmatch "[^\n]+" do
    local option = line:match "^  (%-%l, %-%-%S+ ?[%u=]*)%f[ \0]"
      or line:match "^      (%-%-%S+ ?[%u=]*)%f[ \0]"
    if option then
      options[#options + 1] = option:gsub(" $", "")
    end
  end
  table.sort(options)
  return options
end

-- Without the marks of roff.
local function plain(line)
  return (line:gsub("\\f%u", ""):gsub("\\%-", "-"))
end

-- The sections and subsections of the man page: title → options that they tag, and their text.
local function sections_of_page(text)
  local sections, current, tagged = {}, nil, false
  for line in text:gmatch "[^\n]+" do
    local title = line:match "^%.S[HS] (.+)$"
    if title then
      current = { text = "" }
      sections[title] = current
    elseif current then
      local option = tagged and plain(line)
      if option and option:find "^%-" then
        current[#current + 1] = option
      end
      current.text = current.text .. plain(line) .. "\n"
    end
    tagged = line == ".TP" or line == ".TQ"
  end
  return sections
end

local ALL <const> = "OPTIONS OF ALL COMMANDS"
local DAEMON <const> = "OPTIONS OF THE COMMANDS FOR A DAEMON"

describe("moonwire(1)", function()
  local sections

  setup(function()
    sections = sections_of_page(read "docs/moonwire.1")
  end)

  it("describes every option of every command, with its value", function()
    local names = commands()
    assert.is_true(#names > 12)
    for _, name in ipairs(names) do
      local text = help(name, "--help")
      local section = assert(sections[name], name)
      local described = table.move(section, 1, #section, 1, {})
      table.move(sections[ALL], 1, #sections[ALL], #described + 1, described)
      if text:find("--control PATH", 1, true) then
        table.move(sections[DAEMON], 1, #sections[DAEMON], #described + 1, described)
      end
      table.sort(described)
      local options = options_of_help(text)
      assert.is_true(#options > 0)
      assert.are.same(options, described, name)
    end
  end)

  it("describes no command that there is not", function()
    local known = {}
    for _, name in ipairs(commands()) do
      known[name] = true
    end
    for title in read "docs/moonwire.1":gmatch "\n%.SS ([^\n]+)" do
      assert.is_true(known[title], title)
    end
  end)

  it("shows how each is used", function()
    for _, name in ipairs(commands()) do
      local usage = help(name, "--help"):match "^usage: ([^\n]+)"
      usage = usage:gsub(" %[%-%-control PATH | %-c FILE%]$", "")
      assert.is_not_nil(sections[name].text:find(usage, 1, true), usage)
    end
  end)

  it("is understood by man", function()
    if process.run { "sh", "-c", "command -v man" } ~= 0 then
      pending "there is no man"
    end
    local status, output, errors = process.run { "man", "--warnings", "-l", "docs/moonwire.1" }
    assert.are.same({ 0, "" }, { status, errors })
    assert.matches("scriptable network daemon", output)
  end)
end)

describe("docs/control.md", function()
  it("names every command for a daemon, and its options", function()
    local page = read "docs/control.md"
    local count = 0
    for _, name in ipairs(commands()) do
      local text = help(name, "--help")
      if text:find("--control PATH", 1, true) then
        count = count + 1
        assert.is_not_nil(page:find("\n| `" .. name .. "[ `]"), name)
        for option in text:gmatch "\n +%-%-(%l+)" do
          assert.is_not_nil(page:find("--" .. option, 1, true), name .. " --" .. option)
        end
      end
    end
    assert.are.equal(10, count)
  end)
end)
