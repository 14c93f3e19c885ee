using System.Formats.Tar;
using System.Text;
using System.Text.Json;
using Evenkeel.Agent.Host;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.Agent.Setup;

/// <summary>
/// All that another server needs to be a node: its configuration, its certificate with the private key, the cluster's file. A tar
/// archive (POSIX.1-2001), readable by its owner alone: who has it can be that node.
/// </summary>
internal sealed class NodeBundle
{
    private const int MostBytes = 4 << 20;
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private static readonly string[] certificates = [NodeCertificate.AuthorityFile, NodeCertificate.CertificateFile, NodeCertificate.KeyFile];
    private readonly Dictionary<string, byte[]> _files;

    private NodeBundle(Dictionary<string, byte[]> files, AgentConfiguration configuration) => (_files, Configuration) = (files, configuration);

    public AgentConfiguration Configuration { get; }
    public string Source => Encoding.UTF8.GetString(_files[NodeSetup.ClusterFileName]);

    public static void Write(string path, AgentConfiguration configuration, string source, string certificateDirectory)
    {
        var files = certificates.ToDictionary(name => name, name => File.ReadAllBytes(Path.Combine(certificateDirectory, name)));
        files[NodeSetup.ConfigurationFile] = configuration.ToBytes();
        files[NodeSetup.ClusterFileName] = Encoding.UTF8.GetBytes(source);
        File.Delete(path);
        using var stream = new FileStream(path, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly });
        using var archive = new TarWriter(stream, TarEntryFormat.Pax);
        foreach (var (name, bytes) in files)
        {
            archive.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(bytes), Mode = OwnerOnly });
        }
    }

    /// <exception cref="SetupRefusedException">It is no bundle.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static NodeBundle Read(string path)
    {
        var files = new Dictionary<string, byte[]>();
        using var stream = File.OpenRead(path);
        try
        {
            using var archive = new TarReader(stream);
            while (archive.GetNextEntry(copyData: true) is { } entry)
            {
                if (entry is not { EntryType: TarEntryType.RegularFile, Length: <= MostBytes, DataStream: { } data })
                {
                    continue;
                }

                using var copy = new MemoryStream();
                data.CopyTo(copy);
                files[entry.Name] = copy.ToArray();
            }

            var configuration = JsonSerializer.Deserialize(files[NodeSetup.ConfigurationFile], AgentConfigurationJson.Default.AgentConfiguration);
            if (configuration is not null && certificates.Append(NodeSetup.ClusterFileName).All(files.ContainsKey))
            {
                return new NodeBundle(files, configuration);
            }
        }
        catch (Exception exception) when (exception is InvalidDataException or EndOfStreamException or FormatException or JsonException or KeyNotFoundException)
        {
        }

        throw new SetupRefusedException($"{path} is no node's bundle, or was cut short", "Copy it again from the first node's state directory (bundles/NODE.bundle)");
    }

    public void WriteCertificates(string directory)
    {
        foreach (var name in certificates)
        {
            using var file = new FileStream(Path.Combine(directory, name), new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = OwnerOnly });
            file.Write(_files[name]);
        }
    }
}
