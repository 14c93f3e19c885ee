using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration.Checks;

/// <summary>Names that are used exist; what a service waits for does not wait for it.</summary>
internal static class ReferenceChecks
{
    public static void All(Names names, ClusterSpec spec, Findings findings)
    {
        foreach (var vip in spec.Vips.Values)
            Known(vip.Prefer.Select(node => node.Value), names.Nodes, "node", $"vips.{vip.Name}.prefer", findings);
        foreach (var service in spec.Services.Values)
        {
            var at = $"services.{service.Name}";
            Known(service.DependsOn, names.Services, "service", at + ".depends_on", findings);
            Known(service.Placement.Prefer.Select(node => node.Value), names.Nodes, "node", at + ".placement.prefer", findings);
            Known(service.Placement.Avoid.Select(node => node.Value), names.Nodes, "node", at + ".placement.avoid", findings);
            Known(service.Placement.With, names.Services, "service", at + ".placement.with", findings);
            Known(service.Placement.Apart, names.Services, "service", at + ".placement.apart", findings);
            for (var i = 0; i < service.Publish.Count; i++)
                if (!names.Vips.Contains(service.Publish[i].Vip))
                    findings.Error($"{at}.publish[{i}].vip", $"there is no virtual IP '{service.Publish[i].Vip}'", Spelling.Advice(service.Publish[i].Vip, [.. names.Vips]));
            foreach (var other in service.Placement.With.Intersect(service.Placement.Apart))
                findings.Error(at + ".placement.apart", $"'{other}' is in 'with' too", "Keep one of the two");
            if (service.Placement.With.Contains(service.Name) || service.Placement.Apart.Contains(service.Name))
                findings.Error(at + ".placement", "a service cannot be placed by itself", $"Remove '{service.Name}' from 'with' and 'apart'; instances are on different nodes anyway");
        }
        foreach (var cycle in Cycles(spec))
            findings.Error($"services.{cycle[0]}.depends_on", $"these services wait for each other: {string.Join(" → ", cycle.Append(cycle[0]))}", "Remove one of these dependencies");
    }

    private static void Known(IEnumerable<string> used, IReadOnlyList<string> known, string what, string path, Findings findings)
    {
        foreach (var name in used.Where(name => !known.Contains(name)).Distinct())
            findings.Error(path, $"there is no {what} '{name}'", Spelling.Advice(name, [.. known]));
    }

    /// <summary>Each cycle once, from its first service in alphabetical order.</summary>
    private static List<IReadOnlyList<string>> Cycles(ClusterSpec spec)
    {
        var cycles = new List<IReadOnlyList<string>>();
        var done = new HashSet<string>(StringComparer.Ordinal);
        foreach (var start in spec.Services.Keys.Order(StringComparer.Ordinal))
            Follow(start, []);
        return cycles;

        void Follow(string name, List<string> way)
        {
            if (way.IndexOf(name) is >= 0 and var begin)
                cycles.Add([.. way.Skip(begin)]);
            else if (!done.Contains(name) && spec.Services.TryGetValue(name, out var service))
            {
                way.Add(name);
                foreach (var next in service.DependsOn.Order(StringComparer.Ordinal))
                    Follow(next, way);
                way.RemoveAt(way.Count - 1);
                done.Add(name);
            }
        }
    }
}
