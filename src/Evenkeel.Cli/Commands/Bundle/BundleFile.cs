using Evenkeel.Agent;
using System.Formats.Tar;
using System.Globalization;
using System.IO.Compression;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Diagnostics;
using Evenkeel.Agent.Host;
using Evenkeel.Cli.Control;
using Evenkeel.Core.Model;

namespace Evenkeel.Cli.Commands.Bundle;

/// <summary>Writes one bundle: this node's diagnostics, then those of each other node that its agent can ask.</summary>
/// <param name="client">Null when no agent answers here.</param>
internal sealed class BundleFile(AgentConfiguration own, ControlClient? client, DateTimeOffset at)
{
    private const long LargestPart = 256 << 20;
    private const UnixFileMode ForOwner = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(3);
    private readonly List<NodeName> _nodes = [own.Node];
    private readonly List<string> _missing = [];

    /// <summary>Whose diagnostics are in it.</summary>
    public IReadOnlyList<NodeName> Nodes => _nodes;

    /// <summary>Written aside and moved into place when whole.</summary>
    /// <returns>What could not be had, with the node's name.</returns>
    /// <exception cref="CommandFailedException">The file is there already, or cannot be written.</exception>
    public async Task<IReadOnlyList<string>> WriteAsync(string path, bool onlyOwn, BundleProgress progress, CancellationToken cancellation)
    {
        if (File.Exists(path))
            throw new CommandFailedException(ExitCode.Refused, $"{path} is there already", "Name another file with -o, or move it away");
        var aside = path + ".partial";
        try
        {
            // On its own: what an interrupted run left is not taken for something.
            File.Delete(aside);
            await using (var stream = new FileStream(aside, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = ForOwner }))
            await using (var archive = new BundleArchive(stream))
                await FillAsync(archive, onlyOwn, progress, cancellation);
            File.Move(aside, path);
            return _missing;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException(ExitCode.Failed, $"{path} cannot be written: {exception.Message}", "Is there room, and may you write there? Another place: -o FILE");
        }
        finally
        {
            if (File.Exists(aside))
                File.Delete(aside);
        }
    }

    private async Task FillAsync(BundleArchive archive, bool onlyOwn, BundleProgress progress, CancellationToken cancellation)
    {
        var diagnostics = new NodeDiagnostics(own);
        var top = string.Create(CultureInfo.InvariantCulture, $"evenkeel-{own.Cluster}-{at:yyyyMMddTHHmmssZ}/");
        var others = onlyOwn ? [] : await OthersAsync(cancellation);
        progress.Expect(diagnostics.Count + others.Count);
        foreach (var missing in await diagnostics.WriteAsync(archive, $"{top}{own.Node}/", progress.Took, cancellation))
            _missing.Add($"{own.Node}: {missing}");
        foreach (var other in others)
        {
            progress.Takes(other.Value);
            await AddAsync(archive, top, other, diagnostics, cancellation);
            progress.Took(other.Value);
        }
        await archive.AddAsync(top + "README.txt", Readme(), cancellation);
    }

    private async Task<IReadOnlyList<NodeName>> OthersAsync(CancellationToken cancellation)
    {
        try
        {
            if (client is not null)
                return [.. (await client.StatusAsync(cancellation)).Nodes.Select(node => node.Name).Where(node => node != own.Node)];
        }
        catch (CommandFailedException exception)
        {
            _missing.Add($"other nodes: {exception.Message}");
            return [];
        }
        _missing.Add($"other nodes: no agent answers on {own.ControlSocket}; run 'evenkeel bundle' on each of them");
        return [];
    }

    private async Task AddAsync(BundleArchive archive, string top, NodeName node, NodeDiagnostics diagnostics, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(s_patience);
        try
        {
            await using var compressed = await client!.DiagnosticsAsync(node, limit.Token);
            await using var plain = new GZipStream(compressed, CompressionMode.Decompress);
            await using var theirs = new TarReader(plain);
            for (long taken = 0; await theirs.GetNextEntryAsync(copyData: true, limit.Token) is { } entry;)
            {
                // Another node's word for where a file goes is not taken: it stays below the node's own name.
                if (entry.EntryType != TarEntryType.RegularFile || !IsPlain(entry.Name))
                    continue;
                taken += entry.Length;
                if (taken > LargestPart)
                    throw new InvalidDataException($"it is larger than {LargestPart >> 20} MiB");
                using var reader = new StreamReader(entry.DataStream ?? Stream.Null); // an empty one has none
                var text = diagnostics.Cut(await reader.ReadToEndAsync(limit.Token));
                await archive.AddAsync($"{top}{node}/{entry.Name}", text, cancellation);
                if (entry.Name == NodeDiagnostics.MissingFile)
                    _missing.AddRange(text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => $"{node}: {line}"));
            }
            _nodes.Add(node);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            _missing.Add($"{node}: not all of it came within {s_patience.TotalMinutes:0} minutes");
        }
        catch (Exception exception) when (exception is CommandFailedException or IOException or InvalidDataException or HttpRequestException)
        {
            _missing.Add($"{node}: {exception.Message}");
        }
    }

    private static bool IsPlain(string name) =>
        name.Length is > 0 and < 200 && !name.StartsWith('/') && name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '_' or '-' or '/') && !name.Split('/').Contains("..");

    private string Readme() => string.Create(CultureInfo.InvariantCulture, $"""
        Diagnostics of the Evenkeel cluster '{own.Cluster}', collected on {own.Node} at {at:u} by version {ProgramVersion.Current}.

        One directory a node: {string.Join(", ", _nodes)}
          agent/    what its agent says: status, events, metrics     state/     its configuration, events, audit trail
          store/    the coordination store's members                 logs/      what its services printed
          network/  addresses, routes, packet filter, sockets        kernel/    memory, disks, mounts, cgroups, processes
          units/    systemd's view and journal                       versions/  of what it works with

        Private keys, tokens and passwords were cut out ("(cut out)") on the node that has them. What services logged of
        their own business is here as they logged it: look before you hand this on.

        Could not be read:
        {(_missing.Count == 0 ? "  nothing" : string.Join('\n', _missing.Select(line => "  " + line)))}

        """);
}
