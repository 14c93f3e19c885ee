namespace Evenkeel.BalancerBench;

/// <summary>
/// The peers as their users would set them up for the same promise: checks each 100 ms (HAProxy; nginx has none), retries on everything
/// that may be repeated, a forwarded client address, kept connections to backends. One process, one thread each.
/// </summary>
internal static class Configurations
{
    /// <param name="buffer">Bytes; 16384 is the default.</param>
    public static string Haproxy(int buffer, int http, int tcp, int[] backends) => $"""
        global
          nbthread 1
          maxconn 7500
          tune.bufsize {buffer}
        defaults
          timeout connect 500ms
          timeout client 300s
          timeout server 30s
          timeout check 100ms
          option redispatch 1
          retries 3
          option splice-auto
          default-server check inter 100ms fall 2 rise 2 on-marked-down shutdown-sessions
        frontend http
          mode http
          bind 127.0.0.1:{http}
          option forwardfor
          default_backend http
        backend http
          mode http
          balance random(2)
          http-reuse always
          retry-on all-retryable-errors
          option httpchk GET /healthz
        {Lines(backends, (port, i) => $"  server n{i} 127.0.0.1:{port}")}
        frontend tcp
          mode tcp
          bind 127.0.0.1:{tcp}
          default_backend tcp
        backend tcp
          mode tcp
          balance random(2)
        {Lines(backends, (port, i) => $"  server n{i} 127.0.0.1:{port}")}

        """;

    public static string NginxProxy(string directory, int http, int[] backends) => Nginx(directory, http, $$"""
            upstream web {
              random two least_conn;
              keepalive 64;
          {{Lines(backends, (port, _) => $"    server 127.0.0.1:{port} max_fails=1 fail_timeout=1s;")}}
            }
        """, """
              location / {
                proxy_pass http://web;
                proxy_http_version 1.1;
                proxy_set_header Connection "";
                proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                proxy_connect_timeout 500ms;
                proxy_read_timeout 1s;
                proxy_next_upstream error timeout;
              }
        """);

    public static string Backend(string directory, int port) => Nginx(directory, port, "", $$"""
              root {{directory}};
              location /healthz { return 200 "ok"; }
        """);

    private static string Nginx(string directory, int port, string outside, string inside) => $$"""
        daemon off; master_process off; pid {{directory}}/{{port}}.pid; error_log {{directory}}/{{port}}.log crit; worker_rlimit_nofile 20000;
        events { worker_connections 19000; }
        http {
          access_log off; keepalive_requests 100000000; keepalive_timeout 300s; sendfile on; tcp_nopush on; open_file_cache max=100;
          client_body_temp_path {{directory}}; proxy_temp_path {{directory}}; fastcgi_temp_path {{directory}}; uwsgi_temp_path {{directory}}; scgi_temp_path {{directory}};
        {{outside}}
          server {
            listen 127.0.0.1:{{port}} backlog=4096;
        {{inside}}
          }
        }
        """;

    private static string Lines(int[] ports, Func<int, int, string> line) => string.Join('\n', ports.Select(line));
}
