using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration.Checks;

/// <summary>One door: who shares its port, and keys that its protocol does not know.</summary>
internal static class DoorChecks
{
    /// <summary>A port may be shared by TCP services that are told apart by TLS server name.</summary>
    public static void Shared(
        Dictionary<(string Vip, int Port, string Name), (string Service, PublishProtocol Protocol)> doors, string service, PublishSpec door, string at, Findings findings)
    {
        foreach (var name in door.Door.Sni.Count == 0 ? [""] : door.Door.Sni.Select(one => one.ToLowerInvariant()).Distinct())
        {
            var other = doors.Where(one => one.Key.Vip == door.Vip && one.Key.Port == door.Port && one.Value.Service != service)
                .Select(one => ((string Service, PublishProtocol Protocol)?)one.Value).FirstOrDefault(one => one!.Value.Protocol != door.Protocol);
            if (other is { } different)
                findings.Error($"{at}.protocol", $"port {door.Port} of '{door.Vip}' is published by '{different.Service}' with another protocol", "Choose another port or another virtual IP");
            else if (!doors.TryAdd((door.Vip, door.Port, name), (service, door.Protocol)))
                findings.Error(name.Length == 0 ? $"{at}.port" : $"{at}.sni",
                    $"port {door.Port} of '{door.Vip}'{(name.Length == 0 ? "" : $" for '{name}'")} is already published by '{doors[(door.Vip, door.Port, name)].Service}'",
                    "Choose another port or another virtual IP");
        }
    }

    public static void Keys(ClusterSpec spec, PublishSpec door, string at, Findings findings)
    {
        if (door.Protocol == PublishProtocol.Http)
        {
            // Said rather than ignored: somebody would rely on it.
            foreach (var (key, used) in new[]
            {
                ("sni", door.Door.Sni.Count > 0), ("send_proxy", door.Door.SendProxy != ProxyProtocol.None), ("accept_proxy_from", door.Door.AcceptProxyFrom.Count > 0),
                ("limits.per_instance", door.Door.MaxPerDestination is not null),
                ("limits.waiting", door.Door.MaxWaiting != DoorSpec.Default.MaxWaiting), ("limits.wait", door.Door.WaitTimeout != DoorSpec.Default.WaitTimeout),
            })
                if (used) findings.Error($"{at}.{key}", "this version knows it for 'protocol: tcp' only", "Remove the key, or write 'protocol: tcp'");
        }
        foreach (var node in door.Door.Weights.Keys.Where(node => !spec.Nodes.ContainsKey(node)))
            findings.Error($"{at}.weights.{node}", $"there is no node '{node}'", "Name a node of this file");
    }
}
