//! The terms of calls for help: what watches a home, what it says, and what comes of it.

use crate::term::terms;

terms! {
    /// What watches an elder's home (居家监测设备).
    pub enum DeviceKind ("kind of device") {
        SosPhone = "SOS_PHONE" "呼援手机",
        SosButton = "SOS_BUTTON" "呼叫按钮",
        SmokeDetector = "SMOKE_DETECTOR" "烟感",
        GasDetector = "GAS_DETECTOR" "煤气",
        /// The electronic nanny (电子保姆): where no water flows, somebody may lie on the floor.
        WaterMeter = "WATER_METER" "智能水表",
        FallDetector = "FALL_DETECTOR" "跌倒探测",
        DoorSensor = "DOOR_SENSOR" "门磁",
        PowerMonitor = "POWER_MONITOR" "安全用电",
        Camera = "CAMERA" "摄像头",
    }

    /// What a device says (设备信号).
    pub enum SignalKind ("kind of signal") {
        Press = "PRESS" "按下呼叫",
        Alarm = "ALARM" "报警",
        AlarmCleared = "ALARM_CLEARED" "报警解除",
        /// With litres; only a positive amount is flow.
        Flow = "FLOW" "用水",
        Heartbeat = "HEARTBEAT" "心跳",
        Position = "POSITION" "定位",
        LowBattery = "LOW_BATTERY" "电量不足",
        Tamper = "TAMPER" "拆动",
    }

    /// What an alert is about (预警类型).
    pub enum AlertKind ("kind of alert") {
        Sos = "SOS" "紧急呼叫",
        Fire = "FIRE" "火灾",
        GasLeak = "GAS_LEAK" "燃气泄漏",
        Fall = "FALL" "跌倒",
        Inactivity = "INACTIVITY" "长时间无活动",
        DeviceOffline = "DEVICE_OFFLINE" "设备离线",
        DeviceFault = "DEVICE_FAULT" "设备故障",
        VisitMissed = "VISIT_MISSED" "漏访",
    }

    /// How urgent an alert is (预警级别), the most urgent first.
    pub enum Severity ("severity") {
        Critical = "CRITICAL" "特急",
        High = "HIGH" "紧急",
        Low = "LOW" "一般",
        /// No emergency: something for office hours.
        Notice = "NOTICE" "提示",
    }

    /// How an alert ended (处置结果).
    pub enum AlertOutcome ("outcome of an alert") {
        Rescued = "RESCUED" "已施救",
        Assisted = "ASSISTED" "已协助",
        FalseAlarm = "FALSE_ALARM" "误报",
        NoOneHome = "NO_ONE_HOME" "家中无人",
        Deceased = "DECEASED" "已故",
        /// A device was heard again.
        SelfCleared = "SELF_CLEARED" "自动解除",
    }

    /// How far help has come (处置阶段); it never goes back.
    pub enum HelpStage ("stage of help") {
        /// Nobody has taken the alert on.
        Open = "OPEN" "待响应",
        Acknowledged = "ACKNOWLEDGED" "已响应",
        Dispatched = "DISPATCHED" "已派出",
        Arrived = "ARRIVED" "已到场",
        Resolved = "RESOLVED" "已处置",
    }

    /// Why an elder is away (离家原因).
    pub enum AwayReason ("reason to be away") {
        Hospital = "HOSPITAL" "住院",
        Family = "FAMILY" "探亲",
        Travel = "TRAVEL" "外出",
    }

    /// How somebody is told (通知方式).
    pub enum NoticeChannel ("channel") {
        Sms = "SMS" "短信",
        Voice = "VOICE" "语音电话",
        Push = "PUSH" "应用推送",
        Webhook = "WEBHOOK" "接口推送",
        /// A line in the service's log, without what is personal: for local runs.
        Log = "LOG" "日志",
        /// A record that the emergency services were to be called (119).
        Record = "RECORD" "出警记录",
    }

    /// As what somebody is told (通知对象).
    pub enum RecipientRole ("role") {
        /// Whom the elder's file names.
        EmergencyContact = "EMERGENCY_CONTACT" "紧急联系人",
        GridWorker = "GRID_WORKER" "网格员",
        VillageCommittee = "VILLAGE_COMMITTEE" "村（居）委会",
        Town = "TOWN" "乡镇（街道）",
        /// Of the hotline 12349.
        DutyCentre = "DUTY_CENTRE" "12349值守中心",
        /// Who looks after devices.
        Maintainer = "MAINTAINER" "设备维护方",
        /// The fire service: a call record is made (119).
        FireService = "FIRE_SERVICE" "消防（119）",
    }
}

impl AlertKind {
    /// How urgent it is. Rule: section 4, the table of kinds.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::Sos | Self::Fire | Self::GasLeak | Self::Fall => Severity::Critical,
            Self::Inactivity => Severity::High,
            Self::DeviceOffline | Self::DeviceFault => Severity::Low,
            Self::VisitMissed => Severity::Notice,
        }
    }

    /// Whether it is about a device and not about the elder: then one may be open for each device.
    #[must_use]
    pub const fn is_of_a_device(self) -> bool {
        matches!(self, Self::DeviceOffline | Self::DeviceFault)
    }
}
