using Evenkeel.PublicConnection.Balancer.Destinations;

namespace Evenkeel.PublicConnection.Balancer.Tcp;

/// <summary>Which of the routes that share a door a client means.</summary>
internal static class Routing
{
    public static bool NeedsName(RoutePool[] routes)
    {
        foreach (var route in routes)
            if (route.Door.Sni.Count > 0) return true;
        return false;
    }

    /// <summary>The exact name first, then a wildcard, then the route that names none. Null when nobody is meant.</summary>
    public static RoutePool? Find(RoutePool[] routes, string? name)
    {
        RoutePool? wildcard = null, rest = null;
        foreach (var route in routes)
        {
            if (route.Door.Sni.Count == 0) rest ??= route;
            if (name is null) continue;
            foreach (var pattern in route.Door.Sni)
            {
                if (string.Equals(pattern, name, StringComparison.OrdinalIgnoreCase)) return route;
                if (Covers(pattern, name)) wildcard ??= route;
            }
        }
        return wildcard ?? rest;
    }

    // RFC 6125, 6.4.3: the star stands for one whole label.
    public static bool Covers(string pattern, string name) =>
        pattern.StartsWith("*.", StringComparison.Ordinal) && name.IndexOf('.') is > 0 and var dot
        && name.AsSpan(dot).Equals(pattern.AsSpan(1), StringComparison.OrdinalIgnoreCase);
}
