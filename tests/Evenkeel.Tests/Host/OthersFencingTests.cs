using System.Net;
using System.Net.Sockets;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Setup;
using Evenkeel.Cli;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.Tests.Store;
using Xunit;

namespace Evenkeel.Tests.Host;

/// <summary>A recovery's fencing of the other voting nodes, with a scripted fence agent that writes down what it was asked.</summary>
public sealed class OthersFencingTests : IDisposable
{
    private static readonly NodeName n1 = new("n1"), n2 = new("n2"), n3 = new("n3");
    private readonly DirectoryInfo _place = TestDirectory.InMemory("evenkeel-others-");
    private readonly List<string> _told = [];

    private static CancellationToken Token => TestContext.Current.CancellationToken;
    private string Asked => File.Exists(At("asked")) ? File.ReadAllText(At("asked")) : "";

    private AgentConfiguration Own => new()
    {
        Cluster = "t", Node = n1, StateDirectory = _place.FullName, ControlSocket = At("none.sock"), GuardSocket = "", Private = ["127.79.0.1"], Store = StoreKind.Etcd, StoreEndpoints = [],
        StoreMembers = new Dictionary<string, string> { ["n1"] = "127.79.0.1", ["n2"] = "127.79.0.2", ["n3"] = "127.79.0.3" }, WorkingDirectory = "/",
    };

    public OthersFencingTests()
    {
        File.WriteAllText(At("fence"), $$"""
            #!/bin/sh
            while IFS='=' read -r key value; do [ "$key" = action ] && action=$value; [ "$key" = plug ] && plug=$value; done
            echo "$action $plug" >>{{At("asked")}}
            case "$action $plug" in
              'off dead') echo 'the switch is dead' >&2; exit 1;;
              'status lies') exit 0;;
              status*) exit 2;;
            esac

            """);
        File.SetUnixFileMode(At("fence"), (UnixFileMode)0b111_101_101);
    }

    public void Dispose() => _place.Delete(recursive: true);

    [Fact]
    public async Task CutOff_EveryOtherVoter_InOrder_AndNoneIsSwitchedOnAgain()
    {
        var others = Others(Device("n2") with { PowerOn = true }, Device("n3"));
        Assert.Equal(("n2 (FENCE), n3 (FENCE)", 0), (others.Words.Replace(At("fence"), "FENCE", StringComparison.Ordinal), others.WithoutDevice.Count));
        await others.CutOffAsync(false, _told.Add, Token);
        Assert.Equal("off n2\nstatus n2\noff n3\nstatus n3\n", Asked);
        Assert.Contains(_told, line => line.EndsWith("says that n3 is off", StringComparison.Ordinal));
    }

    [Fact]
    public async Task CutOff_FirstLevelDead_TheSecondConfirms()
    {
        await Others(Device("dead") with { Then = [Device("n2")] }, Device("n3")).CutOffAsync(false, _told.Add, Token);
        Assert.Equal("off dead\noff n2\nstatus n2\noff n3\nstatus n3\n", Asked);
    }

    [Theory]
    [InlineData("dead", "the switch is dead")]
    [InlineData("lies", "status says that it is on")]
    public async Task CutOff_OneIsNotConfirmed_IsRefusedAndSaysWhichAndWhatIsOffAlready(string plug, string words)
    {
        var refused = await Assert.ThrowsAsync<SetupRefusedException>(() => Others(Device("n2"), Device(plug)).CutOffAsync(false, _told.Add, Token));
        Assert.StartsWith("n3 is not surely off", refused.Message, StringComparison.Ordinal);
        Assert.Contains(words, refused.Message, StringComparison.Ordinal);
        Assert.EndsWith("nothing was changed here, n2 is off already", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CutOff_FirstIsNotConfirmed_TheNodesBehindItAreLeftAlone()
    {
        // Its operator's word is for nodes without a device, not for a device that failed.
        await Assert.ThrowsAsync<SetupRefusedException>(() => Others(Device("dead"), Device("n3")).CutOffAsync(true, _told.Add, Token));
        Assert.Equal("off dead\n", Asked);
    }

    [Fact]
    public async Task CutOff_OneHasNoDevice_NobodyIsCutOff_UnlessAnOperatorAnswersForIt()
    {
        var others = Others(Device("n2"), null);
        var refused = await Assert.ThrowsAsync<SetupRefusedException>(() => others.CutOffAsync(false, _told.Add, Token));
        Assert.StartsWith("n3 cannot be fenced", refused.Message, StringComparison.Ordinal);
        Assert.Equal("", Asked);
        await others.CutOffAsync(true, _told.Add, Token);
        Assert.Equal("off n2\nstatus n2\n", Asked);
    }

    [Fact]
    public void Others_AreVotersOfTheSpecAndMembersThatItHasForgotten_ButNoNodeWithoutAVote()
    {
        var spec = Spec(Device("n2"), Device("n3"));
        spec = spec with { Nodes = spec.Nodes.Values.Select(node => node.Name == n2 ? node with { Votes = false } : node).ToDictionary(node => node.Name) };
        var own = Own with { StoreMembers = new Dictionary<string, string> { ["n1"] = "127.79.0.1", ["n9"] = "127.79.0.9" } };
        var others = new OthersFencing(own, spec);
        Assert.Equal([new NodeName("n9")], others.WithoutDevice);
        Assert.StartsWith("n3 (", others.Words, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Majority_ThatLives_IsNotCutOff()
    {
        await OthersProbe.ExpectNoMajorityAsync(Own, Token);
        using var one = Listen("127.79.0.2");
        await OthersProbe.ExpectNoMajorityAsync(Own, Token);
        using var two = Listen("127.79.0.3");
        var refused = await Assert.ThrowsAsync<SetupRefusedException>(() => OthersProbe.ExpectNoMajorityAsync(Own, Token));
        Assert.Contains("etcd answers on n2, n3; nobody was cut off", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ExitCode.Usage, "--rejoin fences nobody", "--rejoin", "--fence", "--yes")]
    [InlineData(ExitCode.Refused, "there is nobody to ask", "--last-member", "--fence")]
    [InlineData(ExitCode.Refused, "--others-are-off", "--last-member", "--yes")]
    [InlineData(ExitCode.Refused, "--fence", "--last-member")]
    public void Recover_ThatMayNotFence_ChangesNothing(int code, string words, params string[] options)
    {
        Own.Save(At("agent.json"));
        var before = File.ReadAllText(At("agent.json"));
        using var error = new StringWriter();
        Assert.Equal(code, CommandLine.Run(["recover", .. options, "--state", _place.FullName], TextWriter.Null, error));
        Assert.Contains(words, error.ToString(), StringComparison.Ordinal);
        Assert.Equal((before, ""), (File.ReadAllText(At("agent.json")), Asked));
    }

    private static TcpListener Listen(string address)
    {
        var listener = new TcpListener(IPAddress.Parse(address), PrivatePorts.EtcdClient);
        listener.Start();
        return listener;
    }

    private OthersFencing Others(FenceSpec? second, FenceSpec? third) => new(Own, Spec(second, third));

    private static ClusterSpec Spec(FenceSpec? second, FenceSpec? third)
    {
        var spec = SmallSpec.Of([n1, n2, n3]);
        return spec with { Nodes = spec.Nodes.Values.Select(node => node with { Fence = node.Name == n2 ? second : node.Name == n3 ? third : null }).ToDictionary(node => node.Name) };
    }

    private FenceSpec Device(string plug) => new(At("fence"), new Dictionary<string, string> { ["plug"] = plug });

    private string At(string file) => Path.Combine(_place.FullName, file);
}
