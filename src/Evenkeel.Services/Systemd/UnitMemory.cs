using System.Text.Json;
using Evenkeel.Core.Model;

namespace Evenkeel.Services.Systemd;

/// <summary>A unit that this node's agent started, and under which epoch.</summary>
public sealed record RememberedUnit(string Service, SystemdDriverSpec Driver, Epoch? Epoch);

/// <summary>
/// Which units run for the cluster, for the agent that comes after a crash: systemd knows that a unit runs, not whose it is.
/// Written before a start and deleted after a stop, so that it names too much rather than too little.
/// </summary>
/// <param name="directory">In the agent's state directory; made when needed.</param>
public sealed class UnitMemory(string directory)
{
    /// <exception cref="IOException"/>
    /// <exception cref="UnauthorizedAccessException"/>
    internal void Remember(RememberedUnit unit)
    {
        Directory.CreateDirectory(directory);
        var path = PathOf(unit.Service);
        File.WriteAllText(path + ".new", JsonSerializer.Serialize(unit));
        File.Move(path + ".new", path, overwrite: true);
    }

    internal void Forget(string service) => File.Delete(PathOf(service));

    /// <summary>A file that cannot be read names a unit all the same; it is told, and the unit is looked after by hand.</summary>
    internal IReadOnlyList<RememberedUnit> All()
    {
        if (!Directory.Exists(directory))
        {
            return [];
        }

        var units = new List<RememberedUnit>();
        foreach (var file in Directory.GetFiles(directory, "*.json"))
        {
            try
            {
                if (JsonSerializer.Deserialize<RememberedUnit>(File.ReadAllText(file)) is { } unit)
                {
                    units.Add(unit);
                }
            }
            catch (JsonException)
            {
                File.Move(file, file + ".unreadable", overwrite: true);
            }
        }

        return units;
    }

    private string PathOf(string service) => Path.Combine(directory, service + ".json");
}
