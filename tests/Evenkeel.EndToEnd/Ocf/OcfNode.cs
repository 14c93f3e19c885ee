using System.Globalization;
using System.Net;
using System.Threading.Channels;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.EndToEnd.Enforcement;
using Evenkeel.Services.Ocf;
using Evenkeel.Services.Ocf.Agents;
using Evenkeel.Services.Ocf.Attributes;
using Xunit;

namespace Evenkeel.EndToEnd.Ocf;

/// <summary>One node with the OCF driver over the guard's real launcher and the stock agents of Debian.</summary>
internal sealed class OcfNode : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private readonly Channel<InstanceFacts> _changes = Channel.CreateUnbounded<InstanceFacts>();
    private readonly IAttributes? _attributes;
    private readonly string _name;
    private readonly string _root;
    private readonly IPAddress _address;
    private static int counter;

    public OcfNode(bool cgroups = true, string name = "n1", string address = "127.90.0.1", IAttributes? attributes = null, string root = AgentName.StandardRoot)
    {
        (_name, _address, _attributes, _root) = (name, IPAddress.Parse(address), attributes, root);
        Guard = new LauncherGuard(string.Create(CultureInfo.InvariantCulture, $"evenkeel-ocf{Environment.ProcessId}x{Interlocked.Increment(ref counter)}"), cgroups);
        Driver = NewDriver();
    }

    public string Directory { get; } = System.IO.Directory.CreateTempSubdirectory("ek-ocf-").FullName;
    public LauncherGuard Guard { get; }
    public OcfDriver Driver { get; private set; }
    public static CancellationToken Token => TestContext.Current.CancellationToken;

    public InstanceOrder Order(string agent, Dictionary<string, string> parameters, Redundancy redundancy = Redundancy.Cold, Epoch? epoch = null,
        Func<OcfDriverSpec, OcfDriverSpec>? change = null, ReplicationOrder? replication = null)
    {
        var driver = new OcfDriverSpec
        {
            Agent = agent, Parameters = parameters, MonitorEvery = TimeSpan.FromMilliseconds(300), StopTimeout = TimeSpan.FromSeconds(20),
        };
        var service = new ServiceSpec
        {
            Name = "svc", Redundancy = redundancy, Activity = Activity.SingleActive, Instances = 1, Driver = change?.Invoke(driver) ?? driver,
        };
        return new InstanceOrder(service, new NodeSpec { Name = new NodeName(_name), Private = [_address] }, null, epoch) { Replication = replication };
    }

    /// <summary>Starts, and fails the test with the log when that fails.</summary>
    public async Task StartAsync(InstanceOrder order)
    {
        var result = await Driver.StartAsync(order, Token);
        Assert.True(result.Succeeded, $"{result.Reason}\n{Log()}");
    }

    public async Task StopAsync()
    {
        var result = await Driver.StopAsync("svc", Token);
        Assert.True(result.Succeeded, $"{result.Reason}\n{Log()}");
        Assert.Equal(InstanceStatus.Stopped, Facts.Status);
    }

    public InstanceFacts Facts => Driver.List().Single(one => one.Service == "svc");

    /// <summary>The next change that looks so; earlier ones are passed over.</summary>
    public async Task<InstanceFacts> UntilAsync(Func<InstanceFacts, bool> condition)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Token);
        limit.CancelAfter(Patience);
        var seen = new List<InstanceFacts>();
        try
        {
            await foreach (var facts in _changes.Reader.ReadAllAsync(limit.Token))
            {
                seen.Add(facts);
                if (condition(facts)) return facts;
            }
        }
        catch (OperationCanceledException) when (!Token.IsCancellationRequested)
        {
            // Told below.
        }
        throw new TimeoutException($"only this was seen:\n{string.Join('\n', seen)}\n{Log()}");
    }

    /// <summary>The agent of the node is replaced; what it ran goes on.</summary>
    public async Task RestartAgentAsync()
    {
        await Driver.DisposeAsync();
        Driver = NewDriver();
        await Guard.SayHelloAsync();
    }

    public string Log() => File.Exists(Path.Combine(Directory, "logs", "svc.log")) ? File.ReadAllText(Path.Combine(Directory, "logs", "svc.log")) : "(no log)";

    public async ValueTask DisposeAsync()
    {
        await Driver.StopAsync("svc", CancellationToken.None);
        await Driver.DisposeAsync();
        await Guard.DisposeAsync();
        System.IO.Directory.Delete(Directory, recursive: true);
    }

    private OcfDriver NewDriver()
    {
        var driver = new OcfDriver(new NodeName(_name), Guard, [Helper.GuardBinary], Directory, _attributes, _root);
        driver.Changed += facts => _changes.Writer.TryWrite(facts);
        return driver;
    }
}
