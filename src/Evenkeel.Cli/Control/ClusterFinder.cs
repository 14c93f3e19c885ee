using Evenkeel.Agent.Control;

namespace Evenkeel.Cli.Control;

/// <summary>
/// Finds the running cluster that a command is for: the one named, the one whose socket is given, or the only one that
/// answers. Sockets are asked all at once; a stopped or hung agent costs a second at most, and another one answers for it.
/// </summary>
internal static class ClusterFinder
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(1);

    /// <param name="wanted">A cluster's name, a socket's path, or null.</param>
    /// <exception cref="CommandFailedException">None answers, or several do and none is named.</exception>
    public static async Task<ControlClient> FindAsync(string? wanted, IReadOnlyList<string> directories, CancellationToken cancellation)
    {
        if (wanted is not null && wanted.Contains('/', StringComparison.Ordinal))
            return await AskAsync(wanted, cancellation) ?? throw new CommandFailedException(ExitCode.Failed,
                File.Exists(wanted) ? $"nobody answers on {wanted}" : $"there is no socket {wanted}", "Is the agent running there, and may you open its socket?");
        var sockets = ControlSockets.Find(directories).Where(socket => wanted is null || socket.Cluster == wanted).ToList();
        var answers = await Task.WhenAll(sockets.Select(socket => AskAsync(socket.Path, cancellation)));
        var clusters = answers.OfType<ControlClient>().GroupBy(client => client.Hello.Cluster, StringComparer.Ordinal).ToList();
        var chosen = clusters.Count == 1 ? clusters[0].First() : null;
        foreach (var client in answers.OfType<ControlClient>().Where(client => client != chosen))
            client.Dispose();
        if (chosen is not null)
            return chosen;
        throw clusters.Count > 1
            ? new CommandFailedException(ExitCode.Usage, $"several clusters run here: {string.Join(", ", clusters.Select(cluster => cluster.Key).Order(StringComparer.Ordinal))}",
                "Say which: --cluster NAME")
            : new CommandFailedException(ExitCode.Failed, Nobody(wanted, sockets.Count, directories),
                sockets.Count > 0 ? "See 'systemctl status evenkeel', or start it again" : "Start one with 'evenkeel demo' or 'evenkeel up FILE', or give --cluster NAME|SOCKET");
    }

    private static string Nobody(string? wanted, int sockets, IReadOnlyList<string> directories) =>
        sockets > 0 ? $"{sockets} agents{(wanted is null ? "" : $" of cluster {wanted}")} left a socket, but none of them answers"
        : wanted is null ? $"no cluster runs here (looked in {string.Join(", ", directories)})"
        : $"no cluster '{wanted}' runs here (looked in {string.Join(", ", directories)})";

    private static async Task<ControlClient?> AskAsync(string socket, CancellationToken cancellation)
    {
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limited.CancelAfter(s_patience);
        return await ControlClient.TryConnectAsync(socket, limited.Token);
    }
}
