using System.Net;
using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Agent.Configuration.Yaml;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration;

/// <summary>Reads what a door asks of its clients.</summary>
internal static class DoorReader
{
    public static DoorSpec Read(Reading publish)
    {
        var (standard, limits) = (DoorSpec.Default, publish.Inner("limits"));
        return new DoorSpec
        {
            Http = new HttpDoorSpec
            {
                Hosts = publish.Texts("hosts"),
                Paths = publish.Texts("paths"),
                Headers = publish.TextMap("headers"),
                Sticky = publish.Inner("sticky") is { } sticky && sticky.Text("cookie") is { } cookie ? new StickySpec(cookie, sticky.Time("for")) : null,
                AccessLog = publish.Inner("access_log") is { } log && log.Text("file") is { } file
                    ? new AccessLogSpec(file, log.Text("format") == "json" ? AccessLogFormat.Json : AccessLogFormat.Combined) : null,
                HashOf = publish.Text("hash_of"),
                MaxRequests = limits?.Integer("requests"),
                MaxBodyBytes = Size(limits, "body"),
                MaxHeadBytes = Size(limits, "head") is { } head ? (int)Math.Min(int.MaxValue, head) : null,
                HeadTime = limits?.Time("head_time"),
                MaintenancePage = publish.Text("maintenance_page"),
                Outliers = publish.Boolean("outliers") ?? true,
                TrustForwardedFrom = Networks(publish, "trust_forwarded_from"),
                Tls = publish.Inner("tls") is { } tls ? ReadTls(tls) : null,
            },
            Sni = publish.Texts("sni"),
            SendProxy = publish.Text("send_proxy") switch { "v1" => ProxyProtocol.V1, "v2" => ProxyProtocol.V2, _ => ProxyProtocol.None },
            AcceptProxyFrom = Networks(publish, "accept_proxy_from"),
            Allow = Networks(publish, "allow"),
            Deny = Networks(publish, "deny"),
            MaxConnections = limits?.Integer("connections"),
            MaxConnectionsPerAddress = limits?.Integer("connections_per_address"),
            MaxPerDestination = limits?.Integer("per_instance"),
            MaxWaiting = limits?.Integer("waiting") ?? standard.MaxWaiting,
            WaitTimeout = limits?.Time("wait") ?? standard.WaitTimeout,
            RatePerAddress = limits?.Number("rate"),
            RateBurst = limits?.Integer("burst") ?? standard.RateBurst,
            Weights = publish.Numbers("weights").ToDictionary(pair => new NodeName(pair.Key), pair => (int)pair.Value),
        };
    }

    private static long? Size(Reading? limits, string key) => limits?.Text(key) is { } text && ByteSize.TryParse(text, out var bytes) ? bytes : null;

    private static TlsSpec ReadTls(Reading tls) => new()
    {
        Certificates = [.. tls.Items("certificates").OfType<YamlMap>().Select(map => new Reading(map, ""))
            .Select(pair => new CertificateFiles(pair.Text("certificate") ?? "", pair.Text("key") ?? ""))],
        Only13 = tls.Text("least") == "1.3",
        Http2 = tls.Boolean("http2") ?? true,
        Hsts = tls.Time("hsts"),
        RedirectFrom = tls.Integer("redirect_from"),
        ClientAuthorities = tls.Text("client_ca"),
    };

    private static List<IPNetwork> Networks(Reading publish, string key)
    {
        List<IPNetwork> networks = [];
        foreach (var text in publish.Texts(key))
            if (Scalars.TryNetwork(text, out var network)) networks.Add(network);
        return networks;
    }
}
