using System.Formats.Tar;
using System.IO.Compression;
using Evenkeel.Agent.Host;
using Evenkeel.Core.Model;
using Evenkeel.Tests.Cli;
using Xunit;

namespace Evenkeel.Tests.Diagnostics;

/// <summary><c>evenkeel bundle</c> of a node whose agent has nothing but the plane, or none.</summary>
public sealed class BundleTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly string _bundle;

    public BundleTests()
    {
        _bundle = Path.Combine(_directory.Path, "out.tar.gz");
        Directory.CreateDirectory(Path.Combine(_directory.Path, "tls"));
        Directory.CreateDirectory(Path.Combine(_directory.Path, "logs"));
        _directory.Write("tls/node.key", "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\n-----END PRIVATE KEY-----\n");
        _directory.Write("logs/web.log", "started\nmy key is MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\n");
        _directory.Write("cluster.yaml", "cluster: shop\nservices: { web: { process: { environment: { DB_PASSWORD: hunter22 } } } }\n");
    }

    public void Dispose() => _directory.Dispose();

    private string Configure(string socket)
    {
        var file = Path.Combine(_directory.Path, "agent.json");
        new AgentConfiguration
        {
            Cluster = "shop", Node = new NodeName("n1"), StateDirectory = _directory.Path, ControlSocket = socket, GuardSocket = "", Private = ["127.0.0.1"],
            Store = StoreKind.Remote, StoreEndpoints = ["127.0.0.1:1"], WorkingDirectory = "/",
        }.Save(file);
        return file;
    }

    private Dictionary<string, string> Contents()
    {
        var contents = new Dictionary<string, string>();
        using var archive = new TarReader(new GZipStream(File.OpenRead(_bundle), CompressionMode.Decompress));
        while (archive.GetNextEntry(copyData: true) is { } entry)
        {
            using var reader = new StreamReader(entry.DataStream ?? Stream.Null);
            contents[entry.Name[(entry.Name.IndexOf('/', StringComparison.Ordinal) + 1)..]] = reader.ReadToEnd();
        }
        return contents;
    }

    [Fact]
    public async Task Bundle_HoldsTheNodesState_WithoutItsSecrets_AndNamesWhatIsMissing()
    {
        await using var host = await ControlHost.StartAsync(Path.Combine(_directory.Path, "run"));
        var (code, output, error) = host.Run("bundle", "-o", _bundle, "--configuration", Configure(host.Socket));
        Assert.True(code == 0, error);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_bundle));
        var contents = Contents();
        Assert.Contains("\"answeredBy\":\"n1\"", contents["n1/agent/status.json"], StringComparison.Ordinal);
        Assert.Contains("event 3", contents["n1/agent/events.jsonl"], StringComparison.Ordinal);
        Assert.Equal("started\nmy key is (cut out)\n", contents["n1/logs/web.log"]);
        Assert.Contains("DB_PASSWORD: \"(cut out)\"", contents["n1/state/cluster.yaml"], StringComparison.Ordinal);
        Assert.Contains("tls/node.key", contents["n1/state/files.txt"], StringComparison.Ordinal);
        Assert.Contains("MemTotal", contents["n1/kernel/memory"], StringComparison.Ordinal);
        Assert.All(contents.Values, text => Assert.False(text.Contains("hunter22", StringComparison.Ordinal) || text.Contains("MIGHAgEA", StringComparison.Ordinal)));
        // This host has no metrics, and cannot ask the other nodes.
        foreach (var missing in new[] { "n1: agent/metrics.txt", "n2: ", "n3: " })
        {
            Assert.Contains("  " + missing, output, StringComparison.Ordinal);
            Assert.Contains(missing, contents["README.txt"], StringComparison.Ordinal);
        }
        Assert.Contains("agent/metrics.txt", contents["n1/missing.txt"], StringComparison.Ordinal);
    }

    [Fact]
    public void Bundle_WithoutAnAgent_HasTheFilesAllTheSame()
    {
        var (code, output, error) = ControlHost.Evenkeel("bundle", "-o", _bundle, "--configuration", Configure(Path.Combine(_directory.Path, "nobody.sock")), "--local");
        Assert.True(code == 0, error);
        Assert.Contains("n1: agent/status.json", output, StringComparison.Ordinal);
        Assert.Contains("n1/logs/web.log", Contents().Keys);
    }

    [Fact]
    public void Bundle_OntoAFileThatIsThere_IsRefusedAndLeavesIt()
    {
        File.WriteAllText(_bundle, "precious");
        var (code, _, error) = ControlHost.Evenkeel("bundle", "-o", _bundle, "--configuration", Configure("/nowhere"), "--local");
        Assert.Equal(4, code);
        Assert.Contains("is there already", error, StringComparison.Ordinal);
        Assert.Equal("precious", File.ReadAllText(_bundle));
    }

    [Fact]
    public void Bundle_OfNoNode_SaysWhatToDo()
    {
        var (code, _, error) = ControlHost.Evenkeel("bundle", "-o", _bundle, "--configuration", Path.Combine(_directory.Path, "none.json"), "--local");
        Assert.Equal(1, code);
        Assert.Contains("Is this server a node", error, StringComparison.Ordinal);
        Assert.False(File.Exists(_bundle));
    }
}
