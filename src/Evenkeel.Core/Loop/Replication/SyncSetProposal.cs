using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Loop.Replication;

/// <summary>An owner's own transaction: who has every acknowledged write from now on.</summary>
public sealed record SyncSetProposal(SyncSet Set) : Proposal;
