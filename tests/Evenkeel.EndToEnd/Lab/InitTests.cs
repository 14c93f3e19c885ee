using System.Diagnostics;
using Evenkeel.Agent.Configuration;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>
/// Servers become a cluster by <c>init</c> alone: each in a network namespace of its own, with a state directory of its own. What
/// must be refused leaves nothing behind.
/// </summary>
public sealed class InitTests : IAsyncLifetime
{
    private const string Name = "setup";
    private static readonly string source = File.ReadAllText(Example)
        .Replace("cluster: demo", $"cluster: {Name}", StringComparison.Ordinal);
    private static string Example => Path.Combine(Checkout.Root, "examples", "web", "cluster.yaml");

    private readonly ClusterSpec spec = ClusterFile.Parse(source).Spec!;
    private readonly string directory = Directory.CreateTempSubdirectory("evenkeel-init-").FullName;
    private readonly List<Process> agents = [];
    private LabNetwork network = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;
    private string Cluster => Path.Combine(directory, "cluster.yaml");

    public async ValueTask InitializeAsync()
    {
        await File.WriteAllTextAsync(Cluster, source.Replace("./service", Path.Combine(Checkout.Root, "examples", "web", "service"), StringComparison.Ordinal));
        network = new LabNetwork(spec);
        await network.UpAsync(CancellationToken.None);
        _ = Checkout.Program;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var agent in agents)
        {
            Signals.Send(agent.Id, Signals.Terminate);
            if (!agent.WaitForExit(TimeSpan.FromSeconds(20))) agent.Kill();
            agent.Dispose();
        }

        await network.DownAsync();
        Directory.Delete(directory, recursive: true);
    }

    [Fact]
    public async Task Init_OnThreeServers_MakesAClusterThatServesAtItsVip()
    {
        foreach (var (node, words) in new[]
        {
            ("n1", new[] { "init", Cluster, "--node", "n1", "--state", State("n1") }),
            ("n2", ["init", "--bundle", Path.Combine(State("n1"), "bundles", "n2.bundle"), "--state", State("n2")]),
            ("n3", ["init", "--bundle", Path.Combine(State("n1"), "bundles", "n3.bundle"), "--state", State("n3")]),
        })
        {
            var (code, output) = await RunAsync(node, words);
            Assert.True(code == 0, output);
            Assert.Contains($"This server is {node}", output, StringComparison.Ordinal);
        }

        Assert.All(Directory.GetFiles(directory, "*.key", SearchOption.AllDirectories).Concat(Directory.GetFiles(directory, "*.bundle", SearchOption.AllDirectories)),
            secret => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(secret)));
        foreach (var node in new[] { "n1", "n2", "n3" })
        {
            agents.Add(Process.Start(new ProcessStartInfo("nsenter",
                [$"--net=/run/netns/{network.Namespace(node)}", Checkout.Program, "agent", "--configuration", Path.Combine(State(node), "agent.json")])
            { RedirectStandardOutput = true })!);
            agents[^1].BeginOutputReadLine();
        }

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Token);
        limit.CancelAfter(TimeSpan.FromSeconds(60));
        string? served = null;
        while (served is null)
        {
            limit.Token.ThrowIfCancellationRequested();
            var (code, output) = await RunAsync("client", "curl", ["-sf", "-m", "2", "http://203.0.113.10/"]);
            served = code == 0 ? output : null;
        }

        int status;
        string words2;
        do (status, words2) = await RunAsync("n1", ["status", "--cluster", Name]);
        while (status != 0 && !limit.IsCancellationRequested);
        Assert.True(status == 0, words2);
    }

    [Fact]
    public async Task Init_OnTheWrongServer_IsRefusedAndWritesNothing()
    {
        var (code, output) = await RunAsync("n2", ["init", Cluster, "--node", "n1", "--state", State("n1")]);
        Assert.Equal(4, code);
        Assert.Contains("private address 10.77.0.11", output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(State("n1")));
    }

    [Fact]
    public async Task Init_Twice_IsRefusedAndKeepsTheAuthority()
    {
        Assert.Equal(0, (await RunAsync("n1", ["init", Cluster, "--node", "n1", "--state", State("n1")])).Code);
        var before = await File.ReadAllTextAsync(Path.Combine(State("n1"), "ca", "ca.crt"), Token);
        var (code, output) = await RunAsync("n1", ["init", Cluster, "--node", "n1", "--state", State("n1")]);
        Assert.Equal(4, code);
        Assert.Contains("state directory already", output, StringComparison.Ordinal);
        Assert.Equal(before, await File.ReadAllTextAsync(Path.Combine(State("n1"), "ca", "ca.crt"), Token));
    }

    [Theory, InlineData("cut"), InlineData("garbage"), InlineData("missing")]
    public async Task Init_SpoiltBundle_IsRefusedAndWritesNothing(string how)
    {
        Assert.Equal(0, (await RunAsync("n1", ["init", Cluster, "--node", "n1", "--state", State("n1")])).Code);
        var bundle = Path.Combine(State("n1"), "bundles", "n2.bundle");
        var bytes = await File.ReadAllBytesAsync(bundle, Token);
        if (how == "cut") await File.WriteAllBytesAsync(bundle, bytes[..(bytes.Length / 3)], Token);
        if (how == "garbage") await File.WriteAllTextAsync(bundle, "not a bundle", Token);
        if (how == "missing") File.Delete(bundle);
        var (code, output) = await RunAsync("n2", ["init", "--bundle", bundle, "--state", State("n2")]);
        Assert.Equal(how == "missing" ? 1 : 4, code);
        Assert.Contains("n2.bundle", output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(State("n2")));
    }

    [Theory]
    [InlineData("read-only", "Read-only file system")]
    [InlineData("full", "No space left on device")]
    public async Task Init_DirectoryThatCannotBeWritten_SaysSoAndIsNoNode(string how, string words)
    {
        var mount = Directory.CreateDirectory(Path.Combine(directory, how)).FullName;
        await SystemCommand.RunAsync(["mount", "-t", "tmpfs", "-o", how == "full" ? "size=8k" : "ro", "none", mount], Token);
        try
        {
            var (code, output) = await RunAsync("n1", ["init", Cluster, "--node", "n1", "--state", Path.Combine(mount, "state")]);
            Assert.Equal(1, code);
            Assert.Contains(words, output, StringComparison.Ordinal);
            Assert.False(File.Exists(Path.Combine(mount, "state", "agent.json")));
        }
        finally
        {
            await SystemCommand.RunAsync(["umount", mount], CancellationToken.None);
        }
    }

    private string State(string node) => Path.Combine(directory, node);

    private Task<(int Code, string Output)> RunAsync(string where, string[] words) => RunAsync(where, Checkout.Program, words);

    private async Task<(int Code, string Output)> RunAsync(string where, string program, string[] words)
    {
        using var process = Process.Start(new ProcessStartInfo("nsenter", [$"--net=/run/netns/{network.Namespace(where)}", program, .. words])
        {
            RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        var output = process.StandardOutput.ReadToEndAsync(Token);
        var errors = process.StandardError.ReadToEndAsync(Token);
        await process.WaitForExitAsync(Token);
        return (process.ExitCode, await output + await errors);
    }
}
