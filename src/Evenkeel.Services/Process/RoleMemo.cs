using System.Globalization;
using Evenkeel.Core.Model;

namespace Evenkeel.Services.Process;

/// <summary>
/// Remembers on disk under which epoch a running process was made the active one: an agent that finds it after a restart must not take
/// it for a standby, which nobody demotes before its lease is given back. Written before the promotion begins, as half a promotion may act.
/// </summary>
internal sealed class RoleMemo(string file)
{
    public void Write(Epoch epoch, int process) =>
        File.WriteAllText(file, string.Create(CultureInfo.InvariantCulture, $"{process} {epoch.Incarnation} {epoch.Number}"));

    public void Clear() => File.Delete(file);

    /// <summary>Null when this very process was not promoted, or was demoted since.</summary>
    public Epoch? Of(int process)
    {
        try
        {
            return File.ReadAllText(file).Split(' ') is [var id, var incarnation, var number]
                && int.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out var was) && was == process
                && int.TryParse(incarnation, NumberStyles.None, CultureInfo.InvariantCulture, out var first)
                && long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var second) ? new Epoch(first, second) : null;
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
