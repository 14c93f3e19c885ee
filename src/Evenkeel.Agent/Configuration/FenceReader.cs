using Evenkeel.Agent.Configuration.Yaml;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration;

/// <summary>Reads how a node is fenced: one device, or a list of levels.</summary>
internal static class FenceReader
{
    private static readonly string[] s_ours = ["agent", "delay", "time_limit", "monitor", "power_on"];

    public static FenceSpec? Read(Reading node)
    {
        var levels = node.Items("fence").OfType<YamlMap>().Select(map => ReadLevel(new Reading(map, ""))).OfType<FenceSpec>().ToList();
        return levels.Count == 0 ? null : levels[0] with { Then = levels[1..] };
    }

    private static FenceSpec? ReadLevel(Reading level)
    {
        if (level.Text("agent") is not { } agent)
            return null;
        var parameters = level.Map.Entries.Where(entry => entry.Value is YamlScalar && !s_ours.Contains(entry.Key.Text))
            .ToDictionary(entry => entry.Key.Text, entry => ((YamlScalar)entry.Value).Text, StringComparer.Ordinal);
        var standard = new FenceSpec(agent, parameters);
        return standard with
        {
            Delay = level.Time("delay") ?? standard.Delay,
            TimeLimit = level.Time("time_limit") ?? standard.TimeLimit,
            PowerOn = level.Boolean("power_on") ?? false,
            MonitorEvery = level.Time("monitor") ?? standard.MonitorEvery,
        };
    }
}
