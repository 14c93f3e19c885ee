using Evenkeel.Agent.Control;

namespace Evenkeel.Cli.Control;

/// <summary>
/// Finds the running cluster that a command is for: the one named, the one whose socket is given, or the only one that
/// answers. Sockets are asked all at once, and the first answer of a cluster will do: a hung agent costs nothing while another answers.
/// </summary>
internal static class ClusterFinder
{
    /// <summary>One among several that may answer; and the only one that is wanted, which may be busy.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(3), s_patienceWithOne = TimeSpan.FromSeconds(10);

    /// <param name="wanted">A cluster's name, a socket's path, an https URL, or null.</param>
    /// <exception cref="CommandFailedException">None answers, or several do and none is named.</exception>
    public static async Task<ControlClient> FindAsync(string? wanted, IReadOnlyList<string> directories, CancellationToken cancellation)
    {
        if (wanted is not null && RemoteApi.Is(wanted))
            return await ControlClient.ConnectAsync(wanted, cancellation);
        if (wanted is not null && wanted.Contains('/', StringComparison.Ordinal))
            return await AskAsync(wanted, s_patienceWithOne, cancellation) ?? throw new CommandFailedException(ExitCode.Failed,
                File.Exists(wanted) ? $"nobody answers on {wanted}" : $"there is no socket {wanted}", "Is the agent running there, and may you open its socket?");
        var sockets = ControlSockets.Find(directories).Where(socket => wanted is null || socket.Cluster == wanted).ToList();
        var clusters = (await Task.WhenAll(sockets.GroupBy(socket => socket.Cluster, socket => socket.Path, StringComparer.Ordinal)
            .Select(paths => FirstAsync([.. paths], cancellation)))).OfType<ControlClient>().ToList();
        if (clusters.Count == 1)
            return clusters[0];
        clusters.ForEach(client => client.Dispose());
        throw clusters.Count > 1
            ? new CommandFailedException(ExitCode.Usage, $"several clusters run here: {string.Join(", ", clusters.Select(client => client.Hello.Cluster).Order(StringComparer.Ordinal))}",
                "Say which: --cluster NAME")
            : new CommandFailedException(ExitCode.Failed, Nobody(wanted, sockets.Count, directories),
                sockets.Count > 0 ? "See 'systemctl status evenkeel', or start it again" : "Start one with 'evenkeel demo' or 'evenkeel up FILE', or give --cluster NAME|SOCKET");
    }

    private static string Nobody(string? wanted, int sockets, IReadOnlyList<string> directories) =>
        sockets > 0 ? $"{(sockets == 1 ? "one agent" : $"{sockets} agents")}{(wanted is null ? "" : $" of cluster {wanted}")} left a socket, but nobody answers there"
        : wanted is null ? $"no cluster runs here (looked in {string.Join(", ", directories)})"
        : $"no cluster '{wanted}' runs here (looked in {string.Join(", ", directories)})";

    private static async Task<ControlClient?> FirstAsync(IReadOnlyList<string> sockets, CancellationToken cancellation)
    {
        using var others = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var asked = sockets.Select(socket => AskAsync(socket, sockets.Count == 1 ? s_patienceWithOne : s_patience, others.Token)).ToList();
        ControlClient? first = null;
        await foreach (var answer in Task.WhenEach(asked))
        {
            if (first is not null)
                (await answer)?.Dispose();
            else if ((first = await answer) is not null)
                await others.CancelAsync();
        }
        return first;
    }

    private static async Task<ControlClient?> AskAsync(string socket, TimeSpan patience, CancellationToken cancellation)
    {
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limited.CancelAfter(patience);
        return await ControlClient.TryConnectAsync(socket, limited.Token);
    }
}
