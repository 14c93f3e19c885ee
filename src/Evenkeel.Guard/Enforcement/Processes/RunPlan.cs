using System.Globalization;
using System.Text;

namespace Evenkeel.Guard.Enforcement.Processes;

/// <summary>
/// What the guard tells its own binary to become (see <see cref="RunMode"/>): strings closed by a zero byte each, as none that
/// execve takes may contain one. The first is the format's number, so that a binary that was replaced meanwhile refuses.
/// </summary>
internal sealed record RunPlan(
    string Instance, string User, string WorkingDirectory, string LogFile, string CgroupProcs,
    IReadOnlyList<string> Command, IReadOnlyList<string> Environment)
{
    private const string Format = "evenkeel-run-1";

    public byte[] Encode()
    {
        var text = new StringBuilder();
        foreach (var part in (string[])[Format, Instance, User, WorkingDirectory, LogFile, CgroupProcs,
            Command.Count.ToString(CultureInfo.InvariantCulture), .. Command, .. Environment])
        {
            if (part.Contains('\0', StringComparison.Ordinal)) throw new ArgumentException("a zero byte cannot be in a command, path or environment");
            text.Append(part).Append('\0');
        }
        return Encoding.UTF8.GetBytes(text.ToString());
    }

    /// <exception cref="FormatException">Not this format.</exception>
    public static RunPlan Decode(ReadOnlySpan<byte> bytes)
    {
        var parts = Encoding.UTF8.GetString(bytes).Split('\0');
        if (parts.Length < 8 || parts[0] != Format) throw new FormatException("the plan to run is of another version of the guard: restart the guard");
        var count = int.Parse(parts[6], CultureInfo.InvariantCulture);
        if (count < 1 || 7 + count >= parts.Length) throw new FormatException("the plan to run is cut short");
        return new RunPlan(parts[1], parts[2], parts[3], parts[4], parts[5], parts[7..(7 + count)], parts[(7 + count)..^1]);
    }
}
