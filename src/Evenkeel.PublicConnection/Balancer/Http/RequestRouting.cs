using Evenkeel.PublicConnection.Balancer.Destinations;
using Evenkeel.PublicConnection.Balancer.Tcp;
using Microsoft.AspNetCore.Http;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>
/// Which of the routes that share a port a request means: the best host (an exact name, then a wildcard, then any), among these the
/// longest path, then the most headers, then the first. Path and host are Kestrel's, decoded and without dot segments, and it is
/// these that are sent on: nobody reaches another route by a spelling.
/// </summary>
internal static class RequestRouting
{
    /// <summary>Null when no route of these is meant.</summary>
    public static RoutePool? Find(RoutePool[] routes, HttpRequest request)
    {
        if (routes is [{ Route.MeansAll: true } only]) return only;
        var host = request.Host.Host.TrimEnd('.');
        RoutePool? best = null;
        var highest = (Host: -1, Path: -1, Headers: -1);
        foreach (var route in routes)
        {
            var http = route.Door.Http;
            var rank = (Host: OfHost(http.Hosts, host), Path: OfPath(http.Paths, request.Path), Headers: OfHeaders(http.Headers, request.Headers));
            if (rank.Host < 0 || rank.Path < 0 || rank.Headers < 0 || rank.CompareTo(highest) <= 0) continue;
            (best, highest) = (route, rank);
        }
        return best;
    }

    private static int OfHost(IReadOnlyList<string> patterns, string host)
    {
        if (patterns.Count == 0) return 0;
        var best = -1;
        foreach (var pattern in patterns)
        {
            if (string.Equals(pattern, host, StringComparison.OrdinalIgnoreCase)) return 2;
            if (Routing.Covers(pattern, host)) best = 1;
        }
        return best;
    }

    private static int OfPath(IReadOnlyList<string> starts, PathString path)
    {
        if (starts.Count == 0) return 0;
        var best = -1;
        foreach (var start in starts)
            if (start.Length > best && path.StartsWithSegments(start.TrimEnd('/'), StringComparison.Ordinal)) best = start.Length;
        return best;
    }

    private static int OfHeaders(IReadOnlyDictionary<string, string> wanted, IHeaderDictionary headers)
    {
        foreach (var (name, value) in wanted)
            if (!headers.TryGetValue(name, out var given) || value != "*" && !given.Contains(value)) return -1;
        return wanted.Count;
    }
}
