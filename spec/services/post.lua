--- scripts/mail.lua for specs, with what its mailboxes hold.
---
---     local place <close> = post.open { "users.bob=SECRET" }
---     place:send("sue@example.net", { "bob@example.org" }, "Subject: x\r\n\r\ntext\r\n")
---     place:await("bob", 1)
local condition = require "spec.support.condition"
local file = require "moonwire.file"
local folder = require "spec.support.folder"
local maildir = require "moonwire.maildir"
local mailer = require "moonwire.smtp.client"
local moonwire = require "spec.support.moonwire"

local post = {}

local DOORS <const> = {
  "smtp=tcp://127.0.0.1:0", "submission=tcp://127.0.0.1:0", "pop3=tcp://127.0.0.1:0",
  "submission=tls://127.0.0.1:0", "pop3=tls://127.0.0.1:0",
}

---@class spec.post
---@field place spec.folder
---@field server spec.moonwire
---@field addresses table<string, string> server, submission, pop3; and with TLS submissions, pop3s
local Post = {}
Post.__index = Post

--- Starts it with settings besides `domain` and `maildir`.
---@param settings string[] for --set
---@param place? spec.folder where another has run; default: a new one
---@param more? { script?: string, env?: table<string, string> } instead of the service itself
---@return spec.post
function post.open(settings, place, more)
  local self = setmetatable({ place = place or folder.new() }, Post)
  local options = { "--set", "domain=example.org", "--set", "maildir=" .. self.place.path }
  for _, setting in ipairs(settings) do
    table.move({ "--set", setting }, 1, 2, #options + 1, options)
  end
  self.server = moonwire.serve {
    script = more and more.script or "scripts/mail.lua", env = more and more.env, listen = DOORS,
    options = options,
  }
  local found = self.server.addresses
  self.addresses = {
    server = found[1], submission = found[2], pop3 = found[3],
    submissions = found[4]:gsub("^tcp:", "tls:"), pop3s = found[5]:gsub("^tcp:", "tls:"),
  }
  return self
end

--- Sends a message to the door for everybody, or to another with options of the client.
---@param sender string
---@param recipients string[]
---@param text string
---@param where? string
---@param options? table
---@return string replies for each recipient the code and the enhanced one: "250 2.0.0, 550 5.1.1"
function Post:send(sender, recipients, text, where, options)
  local all = { hostname = "client.example", tls = { verify = "none" } }
  for name, value in pairs(options or {}) do
    all[name] = value
  end
  local envelope = { sender = sender, recipients = recipients }
  local results, err = mailer.send(where or self.addresses.server, envelope, text, all)
  local codes = {}
  for i, result in ipairs(results or {}) do
    codes[i] = ("%d %s"):format(result.code, result.enhanced or "")
  end
  return results and table.concat(codes, ", ") or err
end

--- The texts in a mailbox of a folder, the oldest first; it need not be there yet.
---@param place spec.folder
---@param name string
---@return string[]
function post.texts(place, name)
  local box <close> = maildir.open(place.path .. "/" .. name)
  local texts = {}
  for i, message in ipairs(box and assert(box:list()) or {}) do
    local opened <close> = assert(box:read(message))
    texts[i] = opened:read(1000000)
  end
  return texts
end

--- Waits until a mailbox has so many messages, and returns their texts.
---@param name string
---@param count integer
---@return string[]
function Post:await(name, count)
  local texts
  condition.wait_until(function()
    texts = post.texts(self.place, name)
    return #texts >= count
  end, 20, function() return ("%s has %d messages"):format(name, #texts) end)
  assert(#texts == count, ("%s has %d messages"):format(name, #texts))
  return texts
end

--- Waits until nothing is promised any more below a folder of mailboxes; what a broken write has left is
--- nothing.
---@param path string
function post.await_empty(path)
  condition.wait_until(function()
    local left = 0
    for _, entry in ipairs(assert(file.list(path .. "/.queue/envelope"))) do
      left = left + (entry.name:find "^%." and 0 or 1)
    end
    return left == 0
  end, 60, "the queue does not become empty")
end

function Post:stop()
  self.server:stop()
  self.place:remove()
end

Post.__close = Post.stop

return post
