-- The pages of scripts/web.lua in Chromium: wide, and as narrow as a telephone, light and dark.
local browser = require "spec.support.browser"
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local test = require "moonwire.test"

test.deadline(300)

local WINDOWS <const> = {
  { width = 1100, height = 800, scheme = "light" }, { width = 390, height = 844, scheme = "dark" },
}

describe("the pages of scripts/web.lua in Chromium", function()
  local place, server, chromium

  before_each(function()
    place = folder.new()
    server = moonwire.serve { script = "scripts/web.lua", options = {
      "--set", "upload=" .. place.path, "--set", "board=true", "--set", "status=true",
    } }
    chromium = browser.start()
  end)

  after_each(function()
    chromium:stop()
    server:stop()
    place:remove()
  end)

  local function open(path, window)
    return chromium:open(("http://127.0.0.1:%d%s"):format(server.port, path), window)
  end

  it("fit their windows, in their colours", function()
    for _, path in ipairs { "/", "/upload", "/board", "/status", "/none" } do
      for _, window in ipairs(WINDOWS) do
        local page = open(path, window)
        assert.is_false(page:overflows(), path)
        local is_dark = page:evaluate "getComputedStyle(document.body).backgroundColor" == "rgb(20, 23, 29)"
        assert.equal(window.scheme == "dark", is_dark)
        assert.equal("PNG", page:screenshot():sub(2, 4))
      end
      assert.equal(path == "/none", chromium:problems() ~= "", path) -- the browser notes what is not there
    end
  end)

  it("write on the board together", function()
    local one, other = open "/board", open "/board"
    one:wait "!document.querySelector('textarea').disabled"
    other:wait "!document.querySelector('textarea').disabled"
    one:evaluate [[(text => { text.value = "größe"; text.dispatchEvent(new Event("input")) })
      (document.querySelector("textarea"))]]
    other:wait "document.querySelector('textarea').value === 'größe'"
  end)

  it("show requests, and what was uploaded", function()
    local status = open "/status"
    status:wait "document.querySelector('output').textContent === 'Connected.'"
    local upload = open "/upload"
    upload:evaluate [[(() => {
      const files = new DataTransfer()
      files.items.add(new File(["content"], "a <b>.txt"))
      document.querySelector("input").files = files.files
      document.querySelector("button").click()
    })()]]
    upload:wait "document.querySelector('.files a')?.textContent === 'a <b>.txt'"
    assert.equal("content", place:read "a <b>.txt")
    assert.equal("content", upload:evaluate(
      "fetch(document.querySelector('.files a').href).then(answer => answer.text())"))
    status:wait "[...document.querySelectorAll('td.path')].some(cell => cell.textContent === '/upload')"
  end)
end)
