-- examples/upload.lua — a page to send files with; they are saved while they arrive, whatever their size.
--
--   build/moonwire run examples/upload.lua --listen tcp://127.0.0.1:7011 --set folder=/tmp
-- Open http://127.0.0.1:7011/ in a browser, or type in another terminal:
--   curl -s http://127.0.0.1:7011/ -F file=@README.md
local file = require "moonwire.file"
local http = require "moonwire.http"

local page = http.template.compile [[
<!DOCTYPE html>
<html lang="en">
<title>Upload</title>
<style>body { font: 1rem/1.5 sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem }</style>
<h1>Upload</h1>
<form method="post" enctype="multipart/form-data">
  <input type="file" name="file" multiple required aria-label="Files"> <button>Send</button>
</form>
{% if saved %}
<ul>
{% for part in saved %}
  <li>{{ part.name }}: {{ part.problem or part.size .. " bytes" }}</li>
{% end %}
</ul>
{% end %}
</html>
]]

local app = http.router()
local folder

app:use(require "moonwire.http.cors".protect()) -- no other site's page sends files here

app:get("/", function(_, response)
  response:html(page:render())
end)

app:post("/", function(request, response)
  local saved = {}
  for part in request:parts { max_parts = 100 } do
    if part.filename and part.filename ~= "" then
      local size, problem = part:save(folder)
      saved[#saved + 1] = { name = part.filename, size = size, problem = problem }
    end
  end
  response:html(page:render { saved = saved }, saved[1] and not saved[1].problem and 201 or 200)
end)

local service = http.service(app, { body_max = false })

function service.start(ctx)
  local path = assert(ctx.config.folder, "--set folder=DIR says where")
  folder = assert(file.root(path)):keep()
end

return service
