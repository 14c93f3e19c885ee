using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Services.Ocf.Tools;

/// <summary>Answers of the tools, with the exit codes of Pacemaker 2.1's.</summary>
internal static class ToolExit
{
    private const int Usage = 64, NoSuchObject = 105, Unavailable = 69, Unimplemented = 3;

    public static ToolAnswer Ok(string output = "") => new(0, output, "");
    public static ToolAnswer NotFound(string what) => new(NoSuchObject, "", $"{what}: No such device or address\n");
    public static ToolAnswer Wrong(string tool, string why) => new(Usage, "", $"{tool}: {why}\n");
    public static ToolAnswer Failed(string tool, string why) => new(Unavailable, "", $"{tool}: {why}\n");
    public static ToolAnswer NotHere(string tool, string what) =>
        new(Unimplemented, "", $"{tool}: {what} is not something that an agent can do here\n");
}
