using System.Collections.Concurrent;
using System.Diagnostics;

namespace Evenkeel.Services.Ocf.Agents;

/// <summary>The agents that are installed here, and what they say of themselves (asked once for each version of the file).</summary>
/// <param name="root">OCF_ROOT: <see cref="AgentName.StandardRoot"/>.</param>
public sealed class AgentDirectory(string root = AgentName.StandardRoot)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private readonly ConcurrentDictionary<(string Path, DateTime Changed), AgentMetadata> _known = new();

    public string Root => root;

    public bool IsInstalled(AgentName name) => File.Exists(name.PathUnder(root));

    /// <exception cref="InvalidDataException">It is not there, or does not describe itself.</exception>
    public async Task<AgentMetadata> DescribeAsync(AgentName name, CancellationToken cancellation)
    {
        var path = name.PathUnder(root);
        if (!File.Exists(path))
        {
            throw new InvalidDataException($"the resource agent {name} is not installed here: {path} does not exist (Debian's package is resource-agents)");
        }

        var key = (path, File.GetLastWriteTimeUtc(path));
        if (_known.TryGetValue(key, out var metadata))
        {
            return metadata;
        }

        try
        {
            return _known[key] = AgentMetadata.Parse(await AskAsync(name, path, cancellation).ConfigureAwait(false));
        }
        catch (Exception exception) when (exception is InvalidDataException or System.ComponentModel.Win32Exception)
        {
            throw new InvalidDataException($"{name}: {exception.Message}", exception);
        }
    }

    // Outside the instance's tree: it starts nothing, and is asked before there is an instance.
    private async Task<string> AskAsync(AgentName name, string path, CancellationToken cancellation)
    {
        var start = new ProcessStartInfo(path, ["meta-data"]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["OCF_ROOT"] = root;
        start.Environment["OCF_RESOURCE_TYPE"] = name.Type;
        start.Environment["OCF_RESOURCE_PROVIDER"] = name.Provider;
        start.Environment["OCF_RESOURCE_INSTANCE"] = "meta-data";
        using var process = System.Diagnostics.Process.Start(start)!;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Patience);
        try
        {
            var errors = process.StandardError.ReadToEndAsync(limit.Token);
            var output = await process.StandardOutput.ReadToEndAsync(limit.Token).ConfigureAwait(false);
            await process.WaitForExitAsync(limit.Token).ConfigureAwait(false);
            return process.ExitCode == 0 ? output
                : throw new InvalidDataException($"meta-data: {OcfExit.Meaning(process.ExitCode)} {(await errors.ConfigureAwait(false)).Trim()}");
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            process.Kill(entireProcessTree: true);
            throw new InvalidDataException($"meta-data: no answer within {Patience.TotalSeconds:0} s");
        }
    }
}
