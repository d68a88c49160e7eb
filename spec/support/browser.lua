--- Chromium, told what to do over its DevTools protocol, for specs of pages.
---
---     local browser <close> = browser.start()
---     local page = browser:open("http://127.0.0.1:8080/", { width = 390, height = 844, scheme = "dark" })
---     page:wait("document.title === 'Chat'")
---     print(page:evaluate "document.title")
local codec = require "moonwire.codec"
local condition = require "spec.support.condition"
local folder = require "spec.support.folder"
local json = require "moonwire.json"
local process = require "spec.support.process"
local task = require "moonwire.task"
local timer = require "moonwire.timer"
local websocket = require "moonwire.websocket"

local SECONDS <const> = 60

local browser = {}

---@class spec.browser
local Browser = {}
Browser.__index = Browser

---@class spec.page
local Page = {}
Page.__index = Page

--- Starts a browser with a profile of its own.
---@return spec.browser
function browser.start()
  local home = folder.new()
  local self = setmetatable({ home = home, last = 0, events = {} }, Browser)
  self.process = process.start {
    "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--remote-debugging-port=0", "--user-data-dir=" .. home.path, "about:blank", env = { HOME = home.path },
  }
  local url = condition.wait_until(function()
    return self.process:errors():match "DevTools listening on (ws://%S+)"
  end, SECONDS, function() return "no DevTools: " .. self.process:errors() end)
  self.socket = assert(websocket.connect(url, { max = 64 * 1024 * 1024 }))
  return self
end

-- Calls a method of the protocol and returns its result; what comes meanwhile is kept as events.
function Browser:call(method, parameters, session)
  self.last = self.last + 1
  assert(self.socket:send(json.encode {
    id = self.last, method = method, params = parameters, sessionId = session,
  }))
  while true do
    local message = assert(json.decode((assert(self.socket:receive()))))
    if message.id == self.last then
      assert(not message.error, method .. ": " .. json.encode(message.error or false))
      return message.result
    end
    self.events[#self.events + 1] = message
  end
end

---@class spec.page_options
---@field width? integer default 1100
---@field height? integer default 800
---@field scheme? "light"|"dark" default "light"

--- Opens a page.
---@param url string
---@param options? spec.page_options
---@return spec.page
function Browser:open(url, options)
  options = options or {}
  local target = self:call("Target.createTarget", { url = "about:blank" }).targetId
  local session = self:call("Target.attachToTarget", { targetId = target, flatten = true }).sessionId
  local page = setmetatable({ browser = self, session = session }, Page)
  page:call "Page.enable"
  page:call "Runtime.enable"
  page:call "Log.enable"
  page:call("Emulation.setDeviceMetricsOverride", { width = options.width or 1100,
    height = options.height or 800, deviceScaleFactor = 1, mobile = (options.width or 1100) < 600 })
  page:call("Emulation.setEmulatedMedia", { features = json.array {
    { name = "prefers-color-scheme", value = options.scheme or "light" } } })
  page:go(url)
  return page
end

--- Ends the browser.
function Browser:stop()
  if self.socket then
    self.socket:abort()
  end
  self.process:stop()
  self.home:remove()
end

Browser.__close = Browser.stop

function Page:call(method, parameters)
  return self.browser:call(method, parameters, self.session)
end

--- Goes to another address, and waits until it is loaded.
---@param url string
function Page:go(url)
  self:call("Page.navigate", { url = url })
  self:wait "document.readyState === 'complete' && location.href !== 'about:blank'"
end

--- The value of an expression of JavaScript; of a promise what it becomes.
---@param expression string
---@return any
function Page:evaluate(expression)
  local answer = self:call("Runtime.evaluate", {
    expression = expression, returnByValue = true, awaitPromise = true, userGesture = true,
  })
  local problem = answer.exceptionDetails
  assert(not problem, problem and json.encode(problem))
  return answer.result.value
end

--- Waits until an expression is true.
---@param expression string
function Page:wait(expression)
  local patience = timer.now() + SECONDS
  while not self:evaluate("!!(" .. expression .. ")") do
    if timer.now() > patience then
      error(("%s does not become true; the page is:\n%s"):format(
        expression, self:evaluate "document.documentElement.outerHTML"), 2)
    end
    task.sleep(0.05)
  end
end

--- What pages wrote to their consoles as errors, errors of their scripts, and what they could not load.
---@return string
function Browser:problems()
  local found = {}
  for _, event in ipairs(self.events) do
    local parameters = event.params
    if event.method == "Runtime.exceptionThrown"
      or event.method == "Log.entryAdded" and parameters.entry.level == "error"
      or event.method == "Runtime.consoleAPICalled" and parameters.type == "error" then
      found[#found + 1] = json.encode(parameters)
    end
  end
  return table.concat(found, "\n")
end

--- Whether something of the page is wider than its window.
---@return boolean
function Page:overflows()
  return self:evaluate "document.documentElement.scrollWidth > document.documentElement.clientWidth"
end

--- A picture of the page.
---@return string png
function Page:screenshot()
  return assert(codec.base64_decode(self:call("Page.captureScreenshot", { format = "png" }).data))
end

return browser
