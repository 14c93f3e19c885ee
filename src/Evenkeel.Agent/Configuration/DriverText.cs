using System.Globalization;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration;

/// <summary>Drivers that are no plain processes, and fencing, as flat keys (see <see cref="SpecText"/>).</summary>
internal static class DriverText
{
    private static readonly string[] s_secret = ["pass", "secret", "token", "key"];

    public static void Add(FlatText flat, DriverSpec driver, string at)
    {
        if (driver is OcfDriverSpec ocf)
            AddOcf(flat, ocf, at);
        else if (driver is SystemdDriverSpec systemd)
            AddSystemd(flat, systemd, at);
    }

    public static void Add(FlatText flat, FenceSpec? fence, string at)
    {
        if (fence is null)
            return;
        AddLevel(flat, fence, at);
        for (var i = 0; i < fence.Then.Count; i++)
            AddLevel(flat, fence.Then[i], $"{at}[{i + 1}]");
    }

    private static void AddLevel(FlatText flat, FenceSpec level, string at)
    {
        flat.Add(at + ".agent", level.Agent);
        flat.Add(at + ".delay", level.Delay);
        flat.Add(at + ".time_limit", level.TimeLimit);
        flat.Add(at + ".monitor", level.MonitorEvery);
        flat.Add(at + ".power_on", level.PowerOn);
        foreach (var (name, value) in level.Parameters)
            // A parameter may be a secret: a diff says that it changed, never what it is.
            flat.Add($"{at}.{name}", name.EndsWith("_file", StringComparison.Ordinal) ? value : SpecText.Secret(value));
    }

    private static void AddOcf(FlatText flat, OcfDriverSpec ocf, string at)
    {
        flat.Add(at + "ocf.agent", ocf.Agent);
        foreach (var (name, value) in ocf.Parameters)
            flat.Add(at + "ocf.parameters." + name, s_secret.Any(word => name.Contains(word, StringComparison.OrdinalIgnoreCase)) ? SpecText.Secret(value) : value);
        flat.Add(at + "port", ocf.Port?.ToString(CultureInfo.InvariantCulture));
        flat.Add(at + "ocf.monitor", ocf.MonitorEvery);
        flat.Add(at + "ocf.monitor_timeout", ocf.MonitorTimeout);
        flat.Add(at + "ocf.start_timeout", ocf.StartTimeout);
        flat.Add(at + "ocf.stop_timeout", ocf.StopTimeout);
        flat.Add(at + "ocf.promote_timeout", ocf.PromoteTimeout);
        flat.Add(at + "ocf.nodes_by", ocf.NodesByAddress ? "address" : "name");
    }

    private static void AddSystemd(FlatText flat, SystemdDriverSpec systemd, string at)
    {
        flat.Add(at + "systemd.unit", systemd.Unit);
        flat.Add(at + "port", systemd.Port?.ToString(CultureInfo.InvariantCulture));
        flat.Add(at + "systemd.start_timeout", systemd.StartTimeout);
        flat.Add(at + "systemd.stop_timeout", systemd.StopTimeout);
    }
}
