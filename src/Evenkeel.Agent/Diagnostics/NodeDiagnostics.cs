using Evenkeel.Agent.Host;

namespace Evenkeel.Agent.Diagnostics;

/// <summary>
/// Everything that helps to understand a node, with its secrets cut out on the node itself. Works without an agent: then what
/// the agent would have said is missing, and said to be.
/// </summary>
public sealed class NodeDiagnostics(AgentConfiguration configuration)
{
    /// <summary>The file, in each node's part, that says what could not be had and why; a line each.</summary>
    public const string MissingFile = "missing.txt";

    /// <summary>What does not answer (a hung disk, a frozen agent, a lost store) costs no more than this.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly List<Source> _sources =
    [
        .. AgentSources.Of(configuration.ControlSocket),
        .. StoreSources.Of(configuration),
        .. FileSources.Of(configuration.StateDirectory),
        .. CommandSources.All(),
        CgroupSource.Create(),
    ];

    /// <summary>How many things are looked at.</summary>
    public int Count => _sources.Count;

    /// <summary>Cuts this node's secrets out of a text that comes from elsewhere, too.</summary>
    public string Cut(string text) => Known.Cut(text);

    private Secrets Known => field ??= Secrets.Of(configuration.StateDirectory);

    /// <summary>Looks at everything in turn.</summary>
    /// <param name="prefix">The directory in the archive: empty, or it ends with a slash.</param>
    /// <param name="looked">Called after each thing with its name.</param>
    /// <returns>What could not be had and why; also written to <see cref="MissingFile"/>.</returns>
    public async Task<IReadOnlyList<string>> WriteAsync(BundleArchive archive, string prefix, Action<string> looked, CancellationToken cancellation)
    {
        var missing = new List<string>();
        foreach (var source in _sources)
        {
            try
            {
                if (await ReadAsync(source, cancellation).ConfigureAwait(false) is { } text)
                {
                    await archive.AddAsync(prefix + source.Name, source.IsClusterFile ? Known.CutFile(text) : Known.Cut(text), cancellation).ConfigureAwait(false);
                }
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or InvalidOperationException or HttpRequestException
                or TimeoutException or InvalidDataException or System.Security.Cryptography.CryptographicException or System.Text.RegularExpressions.RegexMatchTimeoutException)
            {
                missing.Add(Known.Cut($"{source.Name}: {exception.Message.ReplaceLineEndings(" ")}"));
            }

            looked(source.Name);
        }

        if (missing.Count > 0)
        {
            await archive.AddAsync(prefix + MissingFile, string.Join('\n', missing) + "\n", cancellation).ConfigureAwait(false);
        }

        return missing;
    }

    private static async Task<string?> ReadAsync(Source source, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Patience);
        try
        {
            // On another thread, and left alone there: a read of a disk that hangs cannot be cancelled.
            return await Task.Run(() => source.ReadAsync(limit.Token), limit.Token).WaitAsync(limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new TimeoutException($"no answer within {Patience.TotalSeconds:0} s");
        }
    }
}
