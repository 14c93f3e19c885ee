using System.Formats.Tar;
using System.Text.Json;
using System.Text.RegularExpressions;
using Evenkeel.Agent.Host;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.Agent.Setup;

/// <summary>
/// All that makes a server this node of this cluster, in one file: its configuration, its certificate and key, the authority's key where it
/// is here, and a snapshot of the coordination store. A tar archive (POSIX.1-2001), for its owner alone: who has it can be the cluster.
/// </summary>
public static partial class StateArchive
{
    private const string SnapshotEntry = "etcd.db";
    private const long MostBytes = 2L << 30;
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode OwnersDirectory = OwnerOnly | UnixFileMode.UserExecute;

    /// <summary>Writes the archive; it is there as a whole or not at all.</summary>
    /// <param name="snapshot">A snapshot of etcd, as <c>state export</c> takes it.</param>
    /// <exception cref="IOException">Something cannot be read or written.</exception>
    public static void Write(string path, string stateDirectory, string snapshot)
    {
        var fresh = path + ".new";
        File.Delete(fresh);
        using (var stream = new FileStream(fresh, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly }))
        {
            using (var archive = new TarWriter(stream, TarEntryFormat.Pax, leaveOpen: true))
            {
                foreach (var file in Directory.GetFiles(stateDirectory, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
                {
                    var name = Path.GetRelativePath(stateDirectory, file);
                    if (name != SnapshotEntry && Known().IsMatch(name))
                    {
                        Add(archive, name, file);
                    }
                }

                Add(archive, SnapshotEntry, snapshot);
            }

            stream.Flush(flushToDisk: true);
        }

        File.Move(fresh, path);
    }

    /// <summary>Makes this server the node that the archive is of; its store is not begun yet.</summary>
    /// <param name="publicInterface">Null: the interface that has the node's public address now.</param>
    /// <returns>The node, and the snapshot of its store.</returns>
    /// <exception cref="SetupRefusedException">It is no such archive, this server is not its node, or is a node already.</exception>
    /// <exception cref="IOException">Something cannot be read or written.</exception>
    public static (AgentConfiguration Own, string Snapshot) Unpack(string path, string stateDirectory, string? publicInterface)
    {
        NodeSetup.CheckEmpty(stateDirectory);
        // Beside it, and moved when all is well: what fails leaves nothing behind.
        var scratch = stateDirectory.TrimEnd('/') + ".importing";
        if (Directory.Exists(scratch))
        {
            Directory.Delete(scratch, recursive: true);
        }

        Directory.CreateDirectory(scratch, OwnersDirectory);
        try
        {
            Extract(path, scratch);
            var configuration = Read(path, scratch);
            var source = File.ReadAllText(Path.Combine(scratch, NodeSetup.ClusterFileName));
            var own = NodeSetup.Settle(configuration, source, stateDirectory, publicInterface);
            File.Delete(Path.Combine(scratch, NodeSetup.ConfigurationFile));
            Directory.CreateDirectory(stateDirectory, OwnersDirectory);
            foreach (var entry in Directory.GetFileSystemEntries(scratch))
            {
                Directory.Move(entry, Path.Combine(stateDirectory, Path.GetFileName(entry)));
            }

            // Last: a directory with this file is a complete one.
            own.Save(Path.Combine(stateDirectory, NodeSetup.ConfigurationFile));
            return (own, Path.Combine(stateDirectory, SnapshotEntry));
        }
        finally
        {
            Directory.Delete(scratch, recursive: true);
        }
    }

    private static void Add(TarWriter archive, string name, string file)
    {
        using var data = File.OpenRead(file);
        archive.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = data, Mode = OwnerOnly });
    }

    private static void Extract(string path, string directory)
    {
        using var stream = File.OpenRead(path);
        try
        {
            using var archive = new TarReader(stream);
            while (archive.GetNextEntry() is { } entry)
            {
                // Nothing but what is written above is taken out, under no other name.
                if (entry is not { EntryType: TarEntryType.RegularFile, Length: <= MostBytes } || !Known().IsMatch(entry.Name))
                {
                    continue;
                }

                var file = Path.Combine(directory, entry.Name);
                Directory.CreateDirectory(Path.GetDirectoryName(file)!, OwnersDirectory);
                using var to = new FileStream(file, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly });
                entry.DataStream?.CopyTo(to);
                to.Flush(flushToDisk: true);
            }
        }
        catch (Exception exception) when (exception is InvalidDataException or EndOfStreamException or FormatException)
        {
            throw NoArchive(path, exception.Message);
        }
    }

    private static AgentConfiguration Read(string path, string directory)
    {
        try
        {
            var configuration = AgentConfiguration.Load(Path.Combine(directory, NodeSetup.ConfigurationFile));
            using var certificate = NodeCertificate.Load(Path.Combine(directory, NodeSetup.CertificatesDirectory));
            return File.Exists(Path.Combine(directory, SnapshotEntry)) && File.Exists(Path.Combine(directory, NodeSetup.ClusterFileName)) ? configuration : throw NoArchive(path, "parts are missing");
        }
        catch (Exception exception) when (exception is FileNotFoundException or JsonException or InvalidDataException)
        {
            throw NoArchive(path, exception.Message);
        }
    }

    private static SetupRefusedException NoArchive(string path, string why) =>
        new($"{path} is no export of a node's state, or was cut short: {why}", "Take one that 'evenkeel state export --all' wrote; a snapshot alone is for 'evenkeel recover --from-snapshot'");

    [GeneratedRegex(@"^(agent\.json|cluster\.yaml|incarnation|etcd\.db|tls/[a-z][a-z.]*|ca/[a-z][a-z.]*|ca/next/[a-z][a-z.]*)$", RegexOptions.CultureInvariant)]
    private static partial Regex Known();
}
