package bench

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// nginxSettings pass requests on, by as many processes as there are cores. %[1]s is where it listens, %[2]s the authorization
// server, %[3]s what stands before everything else, %[4]s in the server, %[5]s its name, %[6]s what stands before the server.
const nginxSettings = `%[3]s
daemon off;
worker_processes auto;
error_log stderr crit;
pid %[5]s.pid;
events { worker_connections 2048; }
http {
	access_log off;
	client_body_temp_path body_%[5]s;
	proxy_temp_path proxy_%[5]s;
	fastcgi_temp_path fastcgi_%[5]s;
	uwsgi_temp_path uwsgi_%[5]s;
	scgi_temp_path scgi_%[5]s;
	keepalive_requests 10000000;
	%[6]s
	upstream legacy {
		server %[2]s max_fails=0;
		keepalive 512;
		keepalive_requests 10000000;
	}
	server {
		listen %[1]s backlog=1024;
		location / {
			proxy_pass http://legacy;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host $http_host;
		}
%[4]s
	}
}
`

// luaSettings find the client for Redis, and random numbers.
const luaSettings = `lua_package_path "/usr/share/lua/5.1/?.lua;;";
	init_worker_by_lua_block { urandom = assert(io.open("/dev/urandom", "rb")) }`

// luaLocations are a gateway in nginx and Lua that checks nothing: what is pushed is kept in Redis as it is, and taken out again.
// %[1]s and %[2]s are host and port of Redis.
const luaLocations = `
		location = /par {
			content_by_lua_block {
				local redis = require "nginx.redis"
				ngx.req.read_body()
				local reference = ngx.encode_base64(urandom:read(32), true):gsub("+", "-"):gsub("/", "_")
				local store = redis:new()
				assert(store:connect("%[1]s", %[2]s))
				assert(store:set(reference, ngx.req.get_body_data(), "EX", 599))
				store:set_keepalive(60000, 256)
				ngx.status = 201
				ngx.header["Content-Type"] = "application/json"
				ngx.header["Cache-Control"] = "no-cache, no-store"
				local body = '{"request_uri":"urn:ietf:params:oauth:request_uri:' .. reference .. '","expires_in":599}'
				ngx.header["Content-Length"] = #body
				ngx.print(body)
			}
		}
		location = /authorize {
			rewrite_by_lua_block {
				local redis = require "nginx.redis"
				local uri = ngx.var.arg_request_uri
				local reference = uri and ngx.unescape_uri(uri):match("^urn:ietf:params:oauth:request_uri:([%%w_-]+)$")
				if not reference then return ngx.exit(400) end
				local store = redis:new()
				assert(store:connect("%[1]s", %[2]s))
				local query = store:getdel(reference)
				store:set_keepalive(60000, 256)
				if not query or query == ngx.null then return ngx.exit(400) end
				ngx.req.set_uri_args(query)
			}
			proxy_pass http://legacy;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host $http_host;
		}
`

const haproxySettings = `
defaults
	mode http
	timeout connect 2s
	timeout client 60s
	timeout server 30s
	http-reuse always
listen front
	bind %[1]s
	maxconn 4096
	server legacy %[2]s
`

// startFronts starts what is installed of nginx, nginx with Lua and HAProxy.
func (s *site) startFronts(t *testing.T) (all []*contestant) {
	t.Helper()
	upstream := strings.TrimPrefix(s.upstream.URL, "http://")
	if program, found := installed("nginx"); found {
		all = append(all, s.startNginx(t, "nginx", program, upstream, "", "", ""))
		if modules := luaModules(); modules != "" {
			host, port, _ := net.SplitHostPort(s.redis.Addr)
			lua := s.startNginx(t, "lua", program, upstream, modules, luaSettings, fmt.Sprintf(luaLocations, host, port))
			lua.requests = lua.askedOfBare()
			all = append(all, lua)
		}
	}
	if program, found := installed("haproxy"); found {
		addr := freeAddr(t)
		settings := s.write(t, "haproxy", fmt.Sprintf(haproxySettings, addr, upstream))
		c := s.startProgram(t, "haproxy", addr, nil, program, "-db", "-f", settings)
		c.requests = c.askedOfProxy()
		all = append(all, c)
	}
	return all
}

func (s *site) startNginx(t *testing.T, name, program, upstream, modules, settings, locations string) *contestant {
	t.Helper()
	addr := freeAddr(t)
	file := s.write(t, name, fmt.Sprintf(nginxSettings, addr, upstream, modules, locations, name, settings))
	c := s.startProgram(t, name, addr, nil, program, "-e", "stderr", "-p", s.dir, "-c", file)
	c.requests = c.askedOfProxy()
	return c
}

func (s *site) write(t *testing.T, name, settings string) (file string) {
	t.Helper()
	file = filepath.Join(s.dir, name+".conf")
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// installed finds a program that is not on everybody's PATH.
func installed(name string) (path string, found bool) {
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name)
	}
	return path, err == nil
}

// luaModules loads Lua into nginx; empty when the system does not have it, with its client for Redis.
func luaModules() (settings string) {
	const modules = "/usr/lib/nginx/modules/"
	for _, file := range []string{modules + "ndk_http_module.so", modules + "ngx_http_lua_module.so", "/usr/share/lua/5.1/nginx/redis.lua"} {
		if _, err := os.Stat(file); err != nil {
			return ""
		}
		if strings.HasSuffix(file, ".so") {
			settings += "load_module " + file + ";\n"
		}
	}
	return settings
}
