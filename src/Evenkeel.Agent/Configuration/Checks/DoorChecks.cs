using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration.Checks;

/// <summary>One door: who shares its port, and keys that its protocol does not know.</summary>
internal static class DoorChecks
{
    /// <summary>
    /// A port may be shared by entries that are told apart: TCP ones by TLS server name, HTTP ones by host, path and headers.
    /// </summary>
    public static void Shared(Dictionary<(string Vip, int Port), List<(string Service, PublishSpec Door)>> doors, string service, PublishSpec door, string at, Findings findings)
    {
        Share(doors, service, door, at, redirect: false, findings);
        // The port that is sent here is a plain HTTP door that means the same requests.
        if (door.Door.Http.Tls is { RedirectFrom: { } other })
            Share(doors, service, door with { Port = other, Door = door.Door with { Http = door.Door.Http with { Tls = null } } }, at + ".tls.redirect_from", redirect: true, findings);
    }

    private static void Share(
        Dictionary<(string Vip, int Port), List<(string Service, PublishSpec Door)>> doors, string service, PublishSpec door, string at, bool redirect, Findings findings)
    {
        string Key(string key) => redirect ? at : $"{at}.{key}";
        if (!doors.TryGetValue((door.Vip, door.Port), out var others))
            doors[(door.Vip, door.Port)] = others = [];
        var port = $"port {door.Port} of '{door.Vip}'";
        foreach (var (other, theirs) in others)
        {
            if (theirs.Protocol != door.Protocol)
                findings.Error(Key("protocol"), $"{port} is published by '{other}' with another protocol", "Choose another port or another virtual IP");
            else if (theirs.Door.Http.Tls is null != (door.Door.Http.Tls is null))
                findings.Error(Key("tls"), $"{port} is published by '{other}' {(door.Door.Http.Tls is null ? "with" : "without")} TLS", "Give all entries of the port 'tls', or none; or choose another port");
            else if (Agreed(theirs.Door.Http.Tls) != Agreed(door.Door.Http.Tls))
                findings.Error(Key("tls"), $"{port} is published by '{other}' with other 'least', 'http2' or 'client_ca'", "Make them equal in all entries of the port: they are agreed on before the request is known");
            else if (Meant(theirs).Intersect(Meant(door)).FirstOrDefault() is { } both)
                findings.Error(Key(door.Door.Sni.Count > 0 ? "sni" : door.Door.Http.Hosts.Count > 0 ? "hosts" : "port"),
                    $"{port}{(both.Length == 0 ? "" : $" for '{both}'")} is already published by '{other}'",
                    door.Protocol == PublishProtocol.Tcp ? "Choose another port or another virtual IP" : "Choose another port or another virtual IP, or tell the two apart by 'hosts', 'paths' or 'headers'");
            else
                continue;
            break;
        }
        others.Add((service, door));
    }

    private static (bool, bool, string?)? Agreed(TlsSpec? tls) => tls is null ? null : (tls.Only13, tls.Http2, tls.ClientAuthorities);

    /// <summary>Everything that the entry asks for, one text each; two entries with one in common cannot be told apart.</summary>
    private static IEnumerable<string> Meant(PublishSpec door)
    {
        if (door.Protocol == PublishProtocol.Tcp)
            return door.Door.Sni.Count == 0 ? [""] : door.Door.Sni.Select(name => name.ToLowerInvariant());
        var http = door.Door.Http;
        var headers = string.Concat(http.Headers.Select(pair => $" {pair.Key.ToLowerInvariant()}: {pair.Value}").Order(StringComparer.Ordinal));
        return from host in http.Hosts.Count == 0 ? [""] : http.Hosts
               from path in http.Paths.Count == 0 ? [""] : http.Paths
               select host.ToLowerInvariant() + path.TrimEnd('/') + headers;
    }

    public static void Keys(ClusterSpec spec, PublishSpec door, string at, Findings findings)
    {
        var (own, http) = (door.Door, door.Door.Http);
        // Said rather than ignored: somebody would rely on it.
        foreach (var (key, only, used) in new[]
        {
            ("sni", PublishProtocol.Tcp, own.Sni.Count > 0), ("send_proxy", PublishProtocol.Tcp, own.SendProxy != ProxyProtocol.None),
            ("hosts", PublishProtocol.Http, http.Hosts.Count > 0), ("paths", PublishProtocol.Http, http.Paths.Count > 0), ("headers", PublishProtocol.Http, http.Headers.Count > 0),
            ("hash_of", PublishProtocol.Http, http.HashOf is not null), ("limits.requests", PublishProtocol.Http, http.MaxRequests is not null), ("outliers", PublishProtocol.Http, !http.Outliers),
            ("trust_forwarded_from", PublishProtocol.Http, http.TrustForwardedFrom.Count > 0),
            ("tls", PublishProtocol.Http, http.Tls is not null), ("sticky", PublishProtocol.Http, http.Sticky is not null), ("access_log", PublishProtocol.Http, http.AccessLog is not null),
            ("maintenance_page", PublishProtocol.Http, http.MaintenancePage is not null), ("limits.body", PublishProtocol.Http, http.MaxBodyBytes is not null),
            ("limits.head", PublishProtocol.Http, http.MaxHeadBytes is not null), ("limits.head_time", PublishProtocol.Http, http.HeadTime is not null),
        })
            if (used && door.Protocol != only)
                findings.Error($"{at}.{key}", $"this version knows it for 'protocol: {Word(only)}' only", $"Remove the key, or write 'protocol: {Word(only)}'");
        if (http.MaxHeadBytes is < 1024 or > 512 * 1024)
            findings.Error($"{at}.limits.head", $"{Values.ByteSize.Format(http.MaxHeadBytes.Value)} is not between 1KiB and 512KiB", "Write a size such as 32KiB");
        if (door.Balance is BalancePolicy.HeaderHash or BalancePolicy.CookieHash)
        {
            if (door.Protocol != PublishProtocol.Http)
                findings.Error($"{at}.balance", "this version knows it for 'protocol: http' only", "Write 'balance: source-hash', or 'protocol: http'");
            else if (http.HashOf is null)
                findings.Error($"{at}.balance", "nothing says which header or cookie to go by", "Add 'hash_of: NAME'");
        }
        else if (http.HashOf is not null && door.Protocol == PublishProtocol.Http)
            findings.Error($"{at}.hash_of", "nothing is hashed by it", "Write 'balance: header-hash' or 'balance: cookie-hash', or remove the key");
        foreach (var node in own.Weights.Keys.Where(node => !spec.Nodes.ContainsKey(node)))
            findings.Error($"{at}.weights.{node}", $"there is no node '{node}'", "Name a node of this file");
    }

    /// <summary>An instance is one and the same behind all entries of its service and protocol: it has one weight.</summary>
    public static void Weights(ServiceSpec service, string at, Findings findings)
    {
        for (var i = 1; i < service.Publish.Count; i++)
        {
            var door = service.Publish[i];
            if (service.Publish.Take(i).FirstOrDefault(other => other.Protocol == door.Protocol && Differs(other.Door.Weights, door.Door.Weights)) is { } first)
                findings.Error($"{at}.publish[{i}].weights", $"another entry of this service (port {first.Port} of '{first.Vip}') weighs its nodes otherwise",
                    $"Write the same 'weights' in all '{Word(door.Protocol)}' entries of the service");
        }
    }

    private static bool Differs(IReadOnlyDictionary<NodeName, int> left, IReadOnlyDictionary<NodeName, int> right) =>
        left.Keys.Union(right.Keys).Any(node => left.GetValueOrDefault(node, 100) != right.GetValueOrDefault(node, 100));

    private static string Word(PublishProtocol protocol) => protocol == PublishProtocol.Tcp ? "tcp" : "http";
}
