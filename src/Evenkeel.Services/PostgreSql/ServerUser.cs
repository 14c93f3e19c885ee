using System.Globalization;
using Evenkeel.Core.Loop.Ports;

namespace Evenkeel.Services.PostgreSql;

/// <summary>The operating system's user that owns the data and runs the server; never root, which PostgreSQL refuses.</summary>
/// <param name="Switch">This agent is root and becomes that user; else it is that user.</param>
internal sealed record ServerUser(string Name, uint Id, uint Group, bool Switch)
{
    /// <summary>For the guard: null when nothing changes.</summary>
    public string? ForLaunch => Switch ? Name : null;

    /// <summary>The command as this user.</summary>
    public IReadOnlyList<string> Command(IReadOnlyList<string> command) =>
        Switch ? ["setpriv", "--reuid", $"{Id}", "--regid", $"{Group}", "--init-groups", "--", .. command] : command;

    public static async Task<(ServerUser? User, ActionResult Result)> FindAsync(string name, CancellationToken cancellation)
    {
        if (!Native.IsRoot && name != Environment.UserName)
        {
            return (null, ActionResult.Failure($"the agent runs as {Environment.UserName} and cannot become {name}: run it as root, or write 'user: {Environment.UserName}'"));
        }

        var user = await Tool.RunAsync(["id", "-u", name], null, TimeSpan.FromSeconds(5), cancellation).ConfigureAwait(false);
        var group = await Tool.RunAsync(["id", "-g", name], null, TimeSpan.FromSeconds(5), cancellation).ConfigureAwait(false);
        if (user.Code != 0 || group.Code != 0)
        {
            return (null, ActionResult.Failure($"there is no user {name} on this node: create it, or write another as 'user'"));
        }

        var id = uint.Parse(user.Output.Trim(), CultureInfo.InvariantCulture);
        return id == 0
            ? (null, ActionResult.Failure("PostgreSQL never runs as root: write another 'user'"))
            : (new ServerUser(name, id, uint.Parse(group.Output.Trim(), CultureInfo.InvariantCulture), Native.IsRoot), ActionResult.Success);
    }

    /// <exception cref="IOException">The owner cannot be changed.</exception>
    public void Own(string path)
    {
        if (Switch)
        {
            Native.ChangeOwner(path, Id, Group);
        }
    }
}
