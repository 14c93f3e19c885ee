using System.Globalization;
using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration;

/// <summary>A service's doors as flat keys and texts.</summary>
internal static class DoorText
{
    public static void Add(FlatText flat, IReadOnlyList<PublishSpec> doors, string at)
    {
        foreach (var port in doors.GroupBy(door => (door.Vip, door.Port)))
            foreach (var (number, door) in port.Index())
            {
                var here = $"{at}publish[{door.Vip}:{door.Port}{(number == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $" ({number + 1})"))}]";
                flat.Add(here, $"{door.Protocol} {door.Balance}{(door.ToPrimary ? " to primary" : door.ToStandbys ? " to standbys" : "")}");
                Add(flat, door.Door, here + ".");
                Add(flat, door.Door.Http, here + ".");
            }
    }

    private static void Add(FlatText flat, DoorSpec door, string at)
    {
        flat.Add(at + "sni", door.Sni);
        flat.Add(at + "send_proxy", door.SendProxy == ProxyProtocol.None ? null : door.SendProxy.ToString().ToLowerInvariant());
        flat.Add(at + "accept_proxy_from", door.AcceptProxyFrom.Select(network => network.ToString()));
        flat.Add(at + "allow", door.Allow.Select(network => network.ToString()));
        flat.Add(at + "deny", door.Deny.Select(network => network.ToString()));
        flat.Add(at + "limits.connections", door.MaxConnections);
        flat.Add(at + "limits.connections_per_address", door.MaxConnectionsPerAddress);
        flat.Add(at + "limits.per_instance", door.MaxPerDestination);
        flat.Add(at + "limits.waiting", door.MaxWaiting);
        flat.Add(at + "limits.wait", door.WaitTimeout);
        flat.Add(at + "limits.rate", door.RatePerAddress?.ToString(CultureInfo.InvariantCulture));
        flat.Add(at + "limits.burst", door.RateBurst);
        foreach (var (node, weight) in door.Weights)
            flat.Add(at + "weights." + node.Value, weight);
    }

    private static void Add(FlatText flat, HttpDoorSpec http, string at)
    {
        flat.Add(at + "hosts", http.Hosts);
        flat.Add(at + "paths", http.Paths);
        foreach (var (name, value) in http.Headers)
            flat.Add(at + "headers." + name, value);
        flat.Add(at + "sticky.cookie", http.Sticky?.Cookie);
        flat.Add(at + "sticky.for", http.Sticky?.For);
        flat.Add(at + "access_log", http.AccessLog is { } log ? $"{log.File} ({log.Format.ToString().ToLowerInvariant()})" : null);
        flat.Add(at + "hash_of", http.HashOf);
        flat.Add(at + "limits.requests", http.MaxRequests);
        flat.Add(at + "limits.body", http.MaxBodyBytes is { } body ? ByteSize.Format(body) : null);
        flat.Add(at + "limits.head", http.MaxHeadBytes is { } head ? ByteSize.Format(head) : null);
        flat.Add(at + "limits.head_time", http.HeadTime);
        flat.Add(at + "maintenance_page", http.MaintenancePage);
        flat.Add(at + "outliers", http.Outliers);
        flat.Add(at + "trust_forwarded_from", http.TrustForwardedFrom.Select(network => network.ToString()));
        if (http.Tls is not { } tls)
            return;
        flat.Add(at + "tls.certificates", tls.Certificates.Select(pair => $"{pair.Certificate} with {pair.Key}"));
        flat.Add(at + "tls.least", tls.Only13 ? "1.3" : "1.2");
        flat.Add(at + "tls.http2", tls.Http2);
        flat.Add(at + "tls.hsts", tls.Hsts);
        flat.Add(at + "tls.redirect_from", tls.RedirectFrom);
        flat.Add(at + "tls.client_ca", tls.ClientAuthorities);
    }
}
