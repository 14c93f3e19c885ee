using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Evenkeel.Core.Model;
using Npgsql;

namespace Evenkeel.EndToEnd.PostgreSql;

/// <summary>One write that a node acknowledged, under which timeline; times on one clock.</summary>
internal sealed record AcknowledgedWrite(NodeName Node, int Timeline, TimeSpan Began, TimeSpan Ended);

/// <summary>
/// Tries to write to every node the whole time, past all doors (over each server's own socket, so that no cut of a network
/// hides one), and keeps who acknowledged. Nobody in the cluster is asked.
/// </summary>
internal sealed class PrimaryObserver : IAsyncDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(500);
    private readonly CancellationTokenSource stop = new();
    private readonly ConcurrentQueue<AcknowledgedWrite> writes = new();
    private readonly Task watching;

    public PrimaryObserver(IEnumerable<(NodeName Node, string Socket)> servers) =>
        watching = Task.WhenAll(servers.Select(server => Task.Run(() => WatchAsync(server.Node, server.Socket))));

    /// <summary>Ends the watch. In the order in which they began.</summary>
    public async Task<IReadOnlyList<AcknowledgedWrite>> EndAsync()
    {
        await stop.CancelAsync();
        await watching;
        return [.. writes.OrderBy(write => write.Began)];
    }

    /// <summary>
    /// Empty when one node at most could write at every moment: each timeline is one node's, and nobody acknowledges a write
    /// that began after one of a later timeline was acknowledged.
    /// </summary>
    public static IReadOnlyList<string> Contradictions(IReadOnlyList<AcknowledgedWrite> writes)
    {
        List<string> found = [.. writes.GroupBy(write => write.Timeline).Where(timeline => timeline.Select(write => write.Node).Distinct().Count() > 1)
            .Select(timeline => $"timeline {timeline.Key} was written by {string.Join(" and ", timeline.Select(write => write.Node).Distinct())}")];
        var byEnd = writes.OrderBy(write => write.Ended).ToList();
        var (latest, next) = (0, 0);
        foreach (var write in writes)
        {
            for (; next < byEnd.Count && byEnd[next].Ended < write.Began; next++) latest = Math.Max(latest, byEnd[next].Timeline);
            if (write.Timeline < latest) found.Add($"{write.Node} acknowledged on timeline {write.Timeline} at {write.Ended} a write begun after one on timeline {latest}");
        }

        return found;
    }

    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        stop.Dispose();
    }

    private async Task WatchAsync(NodeName node, string socket)
    {
        var where = new NpgsqlConnectionStringBuilder
        {
            Host = socket, Username = "postgres", Database = "postgres", Pooling = false, CancellationTimeout = -1, Timeout = 1, CommandTimeout = 0,
            ApplicationName = "observer", SslMode = SslMode.Disable, GssEncryptionMode = GssEncryptionMode.Disable,
        }.ConnectionString;
        NpgsqlConnection? link = null;
        while (!stop.IsCancellationRequested)
        {
            var began = Elapsed();
            using var limit = new CancellationTokenSource(Patience);
            try
            {
                if (link is null)
                {
                    link = new NpgsqlConnection(where);
                    await link.OpenAsync(limit.Token);
                    began = Elapsed();
                }

                // A write like any other, which leaves nothing behind but its place in the log; a wait for a standby that is
                // cancelled ends with a warning, and is no acknowledgement.
                await using var command = new NpgsqlCommand("SELECT left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) FROM pg_logical_emit_message(true, 'observer', '')", link);
                var warned = false;
                void OnNotice(object sender, NpgsqlNoticeEventArgs notice) => warned = true;
                link.Notice += OnNotice;
                var timeline = int.Parse((string)(await command.ExecuteScalarAsync(limit.Token))!, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
                link.Notice -= OnNotice;
                if (!warned) writes.Enqueue(new AcknowledgedWrite(node, timeline, began, Elapsed()));
            }
            catch (Exception failure) when (failure is NpgsqlException or OperationCanceledException or TimeoutException or IOException or System.Net.Sockets.SocketException or InvalidOperationException)
            {
                // A standby says that it is one, and keeps the connection; everything else ends it.
                if (link is not null && (failure is not PostgresException || link.State != System.Data.ConnectionState.Open))
                {
                    await link.DisposeAsync();
                    link = null;
                }
            }

            await Task.Delay(Pause, CancellationToken.None);
        }

        if (link is not null) await link.DisposeAsync();
    }

    private static TimeSpan Elapsed() => Stopwatch.GetElapsedTime(0);
}
