namespace Evenkeel.Guard;

/// <summary>The command line.</summary>
/// <param name="SocketPath">Where the agent connects.</param>
/// <param name="StateDirectory">Holds the node's lock: one guard a node.</param>
/// <param name="LogFile">Appended to; null keeps standard output and error.</param>
internal sealed record GuardOptions(string SocketPath, string StateDirectory, string? LogFile)
{
    public const string Usage = "usage: evenkeel-guard --socket PATH --state DIRECTORY [--log FILE]";

    /// <returns>Null when the arguments are none of ours.</returns>
    public static GuardOptions? Parse(IReadOnlyList<string> arguments)
    {
        string? socket = null, state = null, log = null;
        for (var i = 0; i < arguments.Count; i += 2)
        {
            if (i + 1 == arguments.Count) return null;
            switch (arguments[i])
            {
                case "--socket": socket = arguments[i + 1]; break;
                case "--state": state = arguments[i + 1]; break;
                case "--log": log = arguments[i + 1]; break;
                default: return null;
            }
        }
        return socket is null || state is null ? null : new(socket, state, log);
    }
}
