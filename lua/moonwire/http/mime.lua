--- Media types by the ends of names. Not for scripts.
local mime = {}

local TYPES <const> = {
  ["application/atom+xml"] = "atom", ["application/dash+xml"] = "mpd", ["application/epub+zip"] = "epub",
  ["application/geo+json"] = "geojson", ["application/gzip"] = "gz", ["application/java-archive"] = "jar",
  ["application/json"] = "json map", ["application/ld+json"] = "jsonld",
  ["application/manifest+json"] = "webmanifest", ["application/msword"] = "doc",
  ["application/octet-stream"] = "bin dll exe dmg img iso msi", ["application/pdf"] = "pdf",
  ["application/pgp-signature"] = "sig asc", ["application/postscript"] = "ps eps ai",
  ["application/rss+xml"] = "rss", ["application/rtf"] = "rtf", ["application/sql"] = "sql",
  ["application/vnd.android.package-archive"] = "apk", ["application/vnd.apple.mpegurl"] = "m3u8",
  ["application/vnd.debian.binary-package"] = "deb", ["application/vnd.google-earth.kml+xml"] = "kml",
  ["application/vnd.ms-excel"] = "xls", ["application/vnd.ms-fontobject"] = "eot",
  ["application/vnd.ms-powerpoint"] = "ppt", ["application/vnd.oasis.opendocument.presentation"] = "odp",
  ["application/vnd.oasis.opendocument.spreadsheet"] = "ods",
  ["application/vnd.oasis.opendocument.text"] = "odt",
  ["application/vnd.openxmlformats-officedocument.presentationml.presentation"] = "pptx",
  ["application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"] = "xlsx",
  ["application/vnd.openxmlformats-officedocument.wordprocessingml.document"] = "docx",
  ["application/wasm"] = "wasm", ["application/x-7z-compressed"] = "7z",
  ["application/x-bittorrent"] = "torrent", ["application/x-bzip2"] = "bz2",
  ["application/x-redhat-package-manager"] = "rpm", ["application/x-sh"] = "sh",
  ["application/x-tar"] = "tar", ["application/x-x509-ca-cert"] = "crt der pem",
  ["application/x-xz"] = "xz", ["application/xhtml+xml"] = "xhtml", ["application/xml"] = "xml xsl",
  ["application/xslt+xml"] = "xslt", ["application/yaml"] = "yaml yml", ["application/zip"] = "zip",
  ["application/zstd"] = "zst", ["audio/aac"] = "aac", ["audio/flac"] = "flac",
  ["audio/midi"] = "mid midi", ["audio/mp4"] = "m4a", ["audio/mpeg"] = "mp3",
  ["audio/ogg"] = "oga ogg opus", ["audio/wav"] = "wav", ["audio/webm"] = "weba",
  ["font/collection"] = "ttc", ["font/otf"] = "otf", ["font/ttf"] = "ttf", ["font/woff"] = "woff",
  ["font/woff2"] = "woff2", ["image/apng"] = "apng", ["image/avif"] = "avif", ["image/bmp"] = "bmp",
  ["image/gif"] = "gif", ["image/heic"] = "heic", ["image/jpeg"] = "jpg jpeg", ["image/jxl"] = "jxl",
  ["image/png"] = "png", ["image/svg+xml"] = "svg", ["image/tiff"] = "tif tiff", ["image/webp"] = "webp",
  ["image/x-icon"] = "ico", ["model/gltf+json"] = "gltf", ["model/gltf-binary"] = "glb",
  ["text/calendar"] = "ics", ["text/css"] = "css", ["text/csv"] = "csv", ["text/html"] = "html htm shtml",
  ["text/javascript"] = "js mjs", ["text/markdown"] = "md markdown",
  ["text/plain"] = "txt text log conf ini lua c h py rs go toml", ["text/tab-separated-values"] = "tsv",
  ["text/vcard"] = "vcf", ["text/vtt"] = "vtt", ["video/mp2t"] = "ts", ["video/mp4"] = "mp4 m4v",
  ["video/mpeg"] = "mpeg mpg", ["video/ogg"] = "ogv", ["video/quicktime"] = "mov", ["video/webm"] = "webm",
  ["video/x-matroska"] = "mkv", ["video/x-msvideo"] = "avi",
}
local OTHERWISE <const> = "application/octet-stream"

-- What is text, though its type does not begin so.
local TEXTUAL <const> = {
  ["application/graphql"] = true, ["application/javascript"] = true, ["application/json"] = true,
  ["application/manifest+json"] = true, ["application/rtf"] = true, ["application/sql"] = true,
  ["application/vnd.apple.mpegurl"] = true, ["application/vnd.ms-fontobject"] = true,
  ["application/wasm"] = true, ["application/x-ndjson"] = true, ["application/x-sh"] = true,
  ["application/xml"] = true, ["application/yaml"] = true, ["font/otf"] = true, ["font/ttf"] = true,
  ["image/bmp"] = true, ["image/x-icon"] = true,
}

local by_end = {}
for name, ends in pairs(TYPES) do
  for word in ends:gmatch("%S+") do
    by_end[word] = name
  end
end

--- The type of a file. Text is UTF-8.
---@param name string of the file
---@param more? table<string, string> types by ends in lower case, before ours
---@return string
function mime.type_of(name, more)
  local ending = (name:match("[^/]%.([^./]+)$") or ""):lower()
  local kind = more and more[ending] or by_end[ending] or OTHERWISE
  return kind:find("^text/[^;]+$") and kind .. "; charset=utf-8" or kind
end

--- Whether data of a type shrinks when it is compressed.
---@param kind string the field Content-Type
---@return boolean
function mime.is_compressible(kind)
  local bare = (kind:match("^%s*([^;%s]+)") or ""):lower()
  return TEXTUAL[bare] or bare:find "^text/" ~= nil or bare:find "%+json$" ~= nil or bare:find "%+xml$" ~= nil
end

return mime
