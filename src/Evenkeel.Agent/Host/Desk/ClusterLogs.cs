using System.Net;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Host.Desk;

/// <summary>A service's output from this node and from others, as one stream.</summary>
internal sealed class ClusterLogs(NodeName self, DeskClient desk, Func<string, int, bool, CancellationToken, IAsyncEnumerable<LogLine>> own)
{
    // A reader slower than the nodes write holds them back; nothing is dropped.
    private const int MostWaiting = 1_024;

    /// <summary>One node's lines, or why they cannot be had.</summary>
    public async Task<Answer<IAsyncEnumerable<LogLine>>> OfAsync(NodeSpec node, string service, int lines, bool follow, CancellationToken cancellation)
    {
        try
        {
            return new(node.Name == self ? own(service, lines, follow, cancellation)
                : await desk.LogsAsync(node.Name, node.Private, service, lines, follow, cancellation).ConfigureAwait(false), null);
        }
        catch (HttpRequestException exception)
        {
            return new Problem(ProblemKind.Unavailable, $"the output on {node.Name} cannot be had: {exception.Message}",
                $"Is {node.Name} up, of the same version, and its private connection whole? See evenkeel status");
        }
    }

    /// <summary>Lines of all these nodes: those of the past node by node where nothing is followed, else as they come. A node that
    /// cannot be asked is named in a line of the stream <c>evenkeel</c>.</summary>
    public async IAsyncEnumerable<LogLine> OfAllAsync(
        IReadOnlyList<NodeSpec> nodes, string service, int lines, bool follow, [EnumeratorCancellation] CancellationToken cancellation)
    {
        if (!follow)
        {
            foreach (var node in nodes)
            {
                await foreach (var line in OfOneAsync(node, service, lines, false, cancellation).ConfigureAwait(false))
                {
                    yield return line;
                }
            }

            yield break;
        }

        var channel = Channel.CreateBounded<LogLine>(MostWaiting);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var readers = Task.WhenAll(nodes.Select(async node =>
        {
            await foreach (var line in OfOneAsync(node, service, lines, true, ended.Token).ConfigureAwait(false))
            {
                await channel.Writer.WriteAsync(line, ended.Token).ConfigureAwait(false);
            }
        }));
        _ = readers.ContinueWith(done => channel.Writer.TryComplete(done.Exception?.InnerException), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        try
        {
            await foreach (var line in channel.Reader.ReadAllAsync(cancellation).ConfigureAwait(false))
            {
                yield return line;
            }
        }
        finally
        {
            await ended.CancelAsync().ConfigureAwait(false);
            await readers.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async IAsyncEnumerable<LogLine> OfOneAsync(NodeSpec node, string service, int lines, bool follow, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var answer = await OfAsync(node, service, lines, follow, cancellation).ConfigureAwait(false);
        if (answer.Value is not { } found)
        {
            yield return Remark(node.Name, answer.Problem!.Message);
            yield break;
        }

        await using var each = found.GetAsyncEnumerator(cancellation);
        while (true)
        {
            string? broken = null;
            try
            {
                if (!await each.MoveNextAsync().ConfigureAwait(false))
                {
                    yield break;
                }
            }
            catch (Exception exception) when (exception is HttpIOException or IOException && !cancellation.IsCancellationRequested)
            {
                broken = exception.Message;
            }

            if (broken is not null)
            {
                yield return Remark(node.Name, $"the connection to {node.Name} broke: {broken}");
                yield break;
            }

            yield return each.Current;
        }
    }

    private static LogLine Remark(NodeName node, string words) => new(DateTimeOffset.UtcNow, node, "evenkeel", words);
}
