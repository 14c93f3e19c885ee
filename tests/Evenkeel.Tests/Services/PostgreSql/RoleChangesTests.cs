using Evenkeel.Core.Model;
using Evenkeel.Services.PostgreSql;
using Xunit;

namespace Evenkeel.Tests.Services.PostgreSql;

/// <summary>What an operator's command is told of, and what not.</summary>
public sealed class RoleChangesTests
{
    private readonly RoleChanges _changes = new();

    [Fact]
    public void Standby_StartsIsPromotedAndStops_IsToldAsPatroniTells()
    {
        Assert.Null(See(InstanceStatus.Starting));
        Assert.Null(See(InstanceStatus.Running, answers: false)); // nobody knows as what it runs
        Assert.Equal(new RoleChange("on_start", "replica"), See(InstanceStatus.Running));
        Assert.Null(See(InstanceStatus.Running));
        Assert.Equal(new RoleChange("on_role_change", "primary"), See(InstanceStatus.Running, epoch: 2));
        Assert.Null(See(InstanceStatus.Running, epoch: 2, answers: false)); // ill, and still what it was
        Assert.Null(See(InstanceStatus.Stopping, epoch: 2));
        Assert.Equal(new RoleChange("on_stop", "primary"), See(InstanceStatus.Stopped));
        Assert.Null(See(InstanceStatus.Failed));
    }

    [Fact]
    public void FoundByANewAgent_HasNotStarted()
    {
        _changes.Adopted();
        Assert.Null(See(InstanceStatus.Running, answers: false));
        Assert.Null(See(InstanceStatus.Running, epoch: 3));
        Assert.Equal(new RoleChange("on_stop", "primary"), See(InstanceStatus.Failed));
        Assert.Equal(new RoleChange("on_start", "replica"), See(InstanceStatus.Running));
    }

    private RoleChange? See(InstanceStatus status, long? epoch = null, bool answers = true) => _changes.Observe(new InstanceFacts("db", status, answers ? Health.Healthy : Health.Unhealthy)
    {
        Epoch = epoch is { } number ? new Epoch(1, number) : null, Replication = new ReplicationFacts { Data = "7" },
    });
}
