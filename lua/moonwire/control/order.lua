--- The commands that tell the daemon to do something, and `metrics`. Not for scripts.

local LEVELS <const> = { debug = true, info = true, warn = true, error = true }

-- What was done needs no words.
local function show_nothing()
  return nil
end

local function check_level(values)
  if not LEVELS[values[1]] then
    return ("log: debug, info, warn or error expected, got '%s'"):format(values[1])
  end
end

---@type moonwire.control.command[]
return {
  {
    name = "drain",
    usage = "[SERVICE] [--undo]",
    about = "Takes no more connections, for one service or for all. Those that are there go on.",
    operands = { least = 0, most = 1 },
    options = { { name = "undo", text = "take connections again" } },
    request = function(values)
      return { command = "drain", service = values[1], undo = values.undo }
    end,
    show = show_nothing,
  },
  {
    name = "stop",
    usage = "[--now]",
    about = "Stops the daemon: it takes no more connections, lets those that are there end for as long as\n"
      .. "the config's 'drain' says, and ends. Returns when the daemon has taken the order.",
    options = { { name = "now", text = "do not wait for connections" } },
    request = function(values)
      return { command = "stop", now = values.now }
    end,
    show = show_nothing,
  },
  {
    name = "log",
    usage = "LEVEL",
    about = "Sets what the daemon and its workers log from now on: debug, info, warn or error, and what is\n"
      .. "worse.",
    operands = { least = 1, most = 1 },
    options = {},
    check = check_level,
    request = function(values)
      return { command = "log", level = values[1] }
    end,
    show = show_nothing,
  },
  {
    name = "metrics",
    usage = "",
    about = "Prints the metrics of the daemon and its scripts in the text format of Prometheus.",
    options = {},
    request = function() return { command = "metrics" } end,
    show = function(answer) return answer.text end,
  },
}
