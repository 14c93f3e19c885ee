using Evenkeel.Core.Model;

namespace Evenkeel.Core.Loop.Store;

/// <summary>The store's keys: <c>/evenkeel/&lt;cluster&gt;/…</c>. One cluster's keys share one prefix, so that an etcd may serve several.</summary>
public sealed class StateKeys(string cluster)
{
    public string Prefix { get; } = $"/evenkeel/{cluster}/";
    public string Spec => Prefix + "spec";
    /// <summary>The text of <c>cluster.yaml</c> as it was applied; for people, never parsed by agents.</summary>
    public string SpecSource => Prefix + "spec/source";
    public string Incarnation => Prefix + "incarnation";
    /// <summary>Number of the <see cref="StateFormat"/>; read before anything else.</summary>
    public string Format => Prefix + "format";
    public string Controller => Prefix + "controller";
    /// <summary>Never written: deleting it is the barrier of safety rule 5.</summary>
    public string Barrier => Prefix + "barrier";
    public string OwnerPrefix => Prefix + "owner/";
    public string AssignmentPrefix => Prefix + "assignment/";
    public string NodePrefix => Prefix + "node/";
    public string MovePrefix => Prefix + "move/";
    public string RestartPrefix => Prefix + "restart/";
    public string SyncPrefix => Prefix + "sync/";
    public string FencePrefix => Prefix + "fence/";
    public string BackupPrefix => Prefix + "backup/";
    public string Owner(ResourceId resource) => OwnerPrefix + resource.Value;
    public string Assignment(string service) => AssignmentPrefix + service;
    public string Node(NodeName node) => NodePrefix + node.Value;
    public string Move(ResourceId resource) => MovePrefix + resource.Value;
    public string Restart(RestartRequest restart) => RestartPrefix + restart.Key;
    public string Sync(string service) => SyncPrefix + service;
    public string Fence(NodeName node) => FencePrefix + node.Value;
    public string Backup(string job) => BackupPrefix + job;
}
