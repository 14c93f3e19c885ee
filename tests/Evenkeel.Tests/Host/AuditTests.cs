using System.Text.Json;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Host.Audit;
using Evenkeel.Core.Model;
using Evenkeel.Tests.Cli;
using Xunit;

namespace Evenkeel.Tests.Host;

/// <summary>The real control server on a real socket, asked by the command line.</summary>
public sealed class AuditTests : IAsyncLifetime
{
    private readonly TemporaryDirectory _directory = new();
    private readonly List<string> _log = [];
    private IAsyncDisposable _server = null!;

    private string Socket => Path.Combine(_directory.Path, "run", "n1.sock");
    private string Trail => Path.Combine(_directory.Path, "audit.jsonl");

    public async ValueTask InitializeAsync() => _server = await ControlServer.StartAsync(
        Socket, new FakeControlPlane(), new AuditEndpoint(new AuditTrail(Trail, _log.Add), new NodeName("n1")).Map);

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _directory.Dispose();
    }

    private (int Code, string Output, string Error) Run(params string[] arguments) => ControlHost.Evenkeel([.. arguments, "--cluster", Socket]);

    private List<AuditEntry> Entries() => [.. Run("audit", "--output", "json").Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
        .Select(line => JsonSerializer.Deserialize(line, ControlJson.Default.AuditEntry)!)];

    [Fact]
    public void Change_IsOnTheTrail_WithWhoAskedAndHowItEnded()
    {
        Assert.Equal(0, Run("drain", "n2", "--reason", "new disk").Code);
        var entry = Assert.Single(Entries());
        Assert.Equal(("nodes/n2/mode draining (new disk)", "done", "n2 is draining"), (entry.What, entry.Outcome, entry.Said));
        Assert.Equal(Environment.UserName, entry.Name);
        Assert.Equal(Environment.ProcessId, entry.Process);
    }

    [Fact]
    public void RefusedChange_IsOnTheTrailToo_AndTheAskerHasTheAnswer()
    {
        var (code, _, error) = Run("drain", "n1");
        Assert.Equal(4, code);
        Assert.Contains("only node", error, StringComparison.Ordinal);
        Assert.Equal("refused", Assert.Single(Entries()).Outcome);
    }

    [Fact]
    public void Question_LeavesNoTrace()
    {
        Run("status");
        Run("events");
        Assert.Empty(Entries());
    }

    [Fact]
    public void Trail_IsForItsOwnerAlone_AndATornLineHidesNoOther()
    {
        Run("drain", "n2");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Trail));
        File.AppendAllText(Trail, "{\"at\":\"20\n");
        Run("drain", "n2");
        Assert.Equal(2, Entries().Count);
    }

    [Fact]
    public void Audit_ForPeople_NamesTheUserTheChangeAndItsEnd()
    {
        Run("drain", "n2");
        Assert.Contains($"n1 {Environment.UserName}(", Run("audit").Output, StringComparison.Ordinal);
    }
}
