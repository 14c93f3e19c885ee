using System.Diagnostics;

namespace Evenkeel.PrivateConnection.Guard;

/// <summary>How to start this node's guard, and where it is reached.</summary>
/// <param name="Command">The program and its first arguments: <c>[evenkeel-guard]</c>, or <c>[dotnet, evenkeel-guard.dll]</c>.</param>
/// <param name="IsWhole">The command is all that starts one, nothing is added to it: a service manager knows how (<c>systemctl start …</c>).</param>
/// <param name="SocketPath">At most 107 bytes (sockaddr_un).</param>
/// <param name="StateDirectory">The node's; holds its lock.</param>
/// <param name="LogFile">The guard's output is appended to it.</param>
public sealed record GuardExecutable(IReadOnlyList<string> Command, string SocketPath, string StateDirectory, string LogFile, bool IsWhole = false)
{
    /// <summary>Starts a guard that outlives this process; it makes itself a session of its own, and exits when another holds the lock.</summary>
    /// <exception cref="System.ComponentModel.Win32Exception">There is no such program.</exception>
    internal Process Start()
    {
        var start = new ProcessStartInfo(Command[0]) { UseShellExecute = false };
        foreach (var argument in Command.Skip(1)) start.ArgumentList.Add(argument);
        foreach (var argument in IsWhole ? [] : (ReadOnlySpan<string>)["--socket", SocketPath, "--state", StateDirectory, "--log", LogFile]) start.ArgumentList.Add(argument);
        return Process.Start(start) ?? throw new InvalidOperationException($"{Command[0]} was not started");
    }
}
