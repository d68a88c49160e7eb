-- The completion for bash, and that it is installed.
local daemon = require "spec.control.daemon"
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"

local COMPLETION <const> = "config/completion/moonwire.bash"

local PROGRAM <const> = [[
source "$1"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
complete -p moonwire >&2
_moonwire
printf '%s\n' "${COMPREPLY[@]}" | sort]]

-- What bash offers for the last of these words, in one line.
local function complete(...)
  local status, output, errors = process.run {
    "bash", "-c", PROGRAM, "bash", COMPLETION, moonwire.binary, ...
  }
  assert.are.same({ 0, "complete -F _moonwire moonwire\n" }, { status, errors })
  return (output:gsub("\n", " "):gsub(" +$", ""))
end

local function sorted_words(text, pattern)
  local words = {}
  for word in text:gmatch(pattern) do
    words[#words + 1] = word
  end
  table.sort(words)
  return table.concat(words, " ")
end

local function help(...)
  local _, output = process.run { moonwire.binary, ... }
  return output
end

describe("the completion for bash", function()
  it("offers every command", function()
    local words = sorted_words(help "--help" .. "\n  --help \n  --version ", "\n  ([%l-]+) ")
    assert.are.equal(words, complete "")
    assert.are.equal("reload repl", complete "re")
  end)

  it("offers every option of every command", function()
    local count = 0
    for name in help "--help":gmatch "\n  (%l+) +[^\n]+" do
      count = count + 1
      local options = sorted_words(help(name, "--help"), "\n  [ %-][ %l][, ] (%-%-[%l-]+)")
      assert.are.equal(options, complete(name, "-"))
    end
    assert.is_true(count > 12)
    assert.are.equal("--limit --locals", complete("connections", "--service", "echo", "--l"))
  end)

  it("offers values", function()
    assert.are.equal("debug error info warn", complete("log", ""))
    assert.are.equal("debug", complete("run", "--log-level", "d"))
    assert.are.equal("json text", complete("run", "x.lua", "--log-format", ""))
    assert.are.equal("pending", complete("connections", "--sort", "p"))
    assert.are.equal("", complete("connections", "--limit", ""))
  end)

  it("offers files, also those with spaces", function()
    local place <close> = folder.new()
    place:write("one.lua", "")
    place:write("one two.lua", "")
    place:write("one.txt", "")
    place:write("ones/x", "")
    local path = place.path .. "/one"
    assert.are.equal(("%s two.lua %s.lua %ss"):format(path, path, path), complete("run", path))
    assert.are.equal(("%s two.lua %s.lua %s.txt %ss"):format(path, path, path, path),
      complete("status", "-c", path))
  end)

  it("asks the daemon for services", function()
    local fake <close> = daemon.open { status = daemon.status() }
    assert.are.equal("chat echo", complete("reload", "--control", fake.path, ""))
    local answer = daemon.status()
    answer.workers[1].report.services[1].name = "$(echo>here)"
    fake.answers.status = answer
    assert.are.equal("chat echo", complete("reload", "--control", fake.path, ""))
    assert.are.equal("echo", complete("connections", "--control", fake.path, "--service", "e"))
    fake:close()
    assert.are.equal("", complete("reload", "--control", fake.path, ""))
  end)
end)

describe("make install", function()
  it("puts completion and man page where they are looked for, and takes them away", function()
    local place <close> = folder.new()
    local build = moonwire.binary:match "^(.*)/" or "."
    local environment = { BUILD = build, PREFIX = "/usr", DESTDIR = place.path }
    local function install(verb)
      return (process.run { "sh", ".make/install", verb, env = environment, seconds = 60 })
    end
    assert.are.equal(0, install "install")
    local file <close> = assert(io.open(COMPLETION))
    assert.are.equal(file:read "a", place:read "usr/share/bash-completion/completions/moonwire")
    assert.matches("^%.TH MOONWIRE 1 ", place:read "usr/share/man/man1/moonwire.1")
    assert.is_not_nil(place:read "usr/share/moonwire/lua/moonwire/control.lua")
    assert.is_nil(place:read "usr/share/moonwire/config/completion/moonwire.bash")
    assert.are.equal(0, install "uninstall")
    assert.is_nil(place:read "usr/share/bash-completion/completions/moonwire")
    assert.is_nil(place:read "usr/share/man/man1/moonwire.1")
  end)
end)
