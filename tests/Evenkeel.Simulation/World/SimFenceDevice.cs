using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;

namespace Evenkeel.Simulation.World;

/// <summary>
/// What switches nodes off: reached by a network of its own, slow, and unreliable in every way but one: what it confirms is so.
/// </summary>
internal sealed class SimFenceDevice(SimCluster cluster)
{
    private long off;
    private long lastOn;

    /// <summary>Since when it has switched nothing; now, while it holds a node off.</summary>
    public long QuietSince => off > 0 ? cluster.Time.Now : lastOn;

    public void Fence(SimAgent by, FenceNode order)
    {
        var chance = cluster.Chance;
        var fails = !cluster.Calm && chance.Happens(0.2);
        var forgets = !cluster.Calm && chance.Happens(0.1);
        cluster.Time.After(chance.Milliseconds(30, 1200), () =>
        {
            if (!fails)
            {
                var node = cluster.Node(order.Node);
                cluster.Trace(order.Node, "is switched off by its fence device");
                node.PowerOff();
                off++;
                cluster.Time.After(chance.Milliseconds(200, 2500), () =>
                {
                    off--;
                    lastOn = cluster.Time.Now;
                    node.PowerOn();
                });
            }
            // Its answer takes a while too; by then the node may be on again.
            cluster.Time.After(chance.Milliseconds(1, chance.Happens(0.1) ? 3000 : 100), () =>
                by.Post(new FenceCompleted(order.Node, order.Number, !fails && !forgets, fails ? "no answer" : "it is off")));
        });
    }
}
