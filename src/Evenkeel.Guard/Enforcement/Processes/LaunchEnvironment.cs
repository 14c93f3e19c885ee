using System.Collections;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Guard.Enforcement.Processes;

/// <summary>
/// A service's environment: the guard's own (under systemd a clean one, under <c>evenkeel up</c> the user's), without what was
/// meant for the guard alone or names another user's home, then the request's.
/// </summary>
internal static class LaunchEnvironment
{
    private static readonly string[] GuardsOwn = ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "INVOCATION_ID", "JOURNAL_STREAM", "WATCHDOG_USEC", "WATCHDOG_PID", "MAINPID"];
    private static readonly string[] OneUsers = ["HOME", "USER", "LOGNAME", "SHELL", "MAIL"];

    public static IReadOnlyList<string> For(LaunchRequest request, string mark)
    {
        var variables = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (DictionaryEntry variable in Environment.GetEnvironmentVariables())
        {
            var name = (string)variable.Key;
            if (GuardsOwn.Contains(name) || (request.User is not null && OneUsers.Contains(name))) continue;
            variables[name] = (string?)variable.Value ?? "";
        }
        foreach (var (name, value) in request.Environment) variables[name] = value;
        variables[SessionTree.MarkVariable] = mark;
        return [.. variables.Select(v => $"{v.Key}={v.Value}")];
    }
}
