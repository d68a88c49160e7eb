-- examples/send_file.lua — sends the files of a folder. The first line is a name, the answer that file and
-- nothing else. The kernel moves the bytes: they do not pass through this process.
--
--   build/moonwire run examples/send_file.lua --listen tcp://127.0.0.1:7006 --set folder=examples
-- In another terminal:
--   echo chat.lua | nc -N 127.0.0.1 7006 > /tmp/chat.lua

-- What has no slash and no dot in front cannot lead out of the folder. A link in it can: it is the owner's.
local function is_plain(name)
  return not name:find("/", 1, true) and not name:find("^%.") and not name:find("%c") and name ~= ""
end

return function(conn, ctx)
  local name = conn:read_line(255)
  if not name or not is_plain(name) then
    conn:write("a file's name expected, without a path\n")
  elseif not conn:send_file((ctx.config.folder or ".") .. "/" .. name) then
    conn:write("there is no file ", name, "\n")
  end
end
