using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Guard;

namespace Evenkeel.TestAgent;

/// <summary>Arguments: guard program, directory, own number, number of nodes, address prefix (127.77.x.), port, front door (address:port).</summary>
internal sealed record TestAgentOptions(GuardExecutable Guard, Configure Configuration, string FrontAddress, int FrontPort)
{
    /// <summary>Four times the defaults: these tests share their processors with whatever else runs on the machine.</summary>
    private static readonly Timings Patient = new()
    {
        Beat = TimeSpan.FromMilliseconds(120), Lease = TimeSpan.FromMilliseconds(600), LoopStall = TimeSpan.FromMilliseconds(1200),
        AgentAbsence = TimeSpan.FromSeconds(5),
    };

    public static TestAgentOptions Parse(string[] args)
    {
        var (directory, own, count) = (args[1], Number(args[2]), Number(args[3]));
        var guards = Enumerable.Range(1, count).Select(i => new GuardPeer(new("n" + i), [args[4] + i], Number(args[5]), true)).ToList();
        var keys = new Dictionary<int, byte[]> { [1] = SHA256.HashData(Encoding.UTF8.GetBytes(directory)) };
        var front = args[6].Split(':');
        var node = Path.Combine(directory, "n" + own);
        return new(
            new GuardExecutable([args[0]], Path.Combine(node, "guard.sock"), node, Path.Combine(directory, $"guard-{own}.log")),
            new Configure(directory, new("n" + own), guards, Patient, keys), front[0], Number(front[1]));
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}
