local nearest = require "moonwire.config.nearest"

local NAMES <const> = { "workers", "control", "drain", "stuck", "limits", "listen", "log", "user" }

describe("the nearest name", function()
  it("differs by few letters", function()
    for word, name in pairs {
      workerz = "workers", worker = "workers", wrokers = "workers", Workers = "workers", contrl = "control",
      drian = "drain", limit = "limits", listn = "listen", lgo = "log", lo = "log", usr = "user",
      drains = "drain",
    } do
      assert.are.equal(name, nearest.find(word, NAMES), word)
    end
  end)

  it("is none when all are other words", function()
    for _, word in ipairs { "banana", "x", "", "colour", "dog12", "sixty", "timeout" } do
      assert.is_nil(nearest.find(word, NAMES), word)
    end
  end)
end)
