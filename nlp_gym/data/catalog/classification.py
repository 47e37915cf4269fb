"""Corpora of texts with one label each."""

from __future__ import annotations

from nlp_gym.data.catalog.dataset import RAW, SAMPLES, Dataset, RemoteFile
from nlp_gym.data.readers.classification.official import AG_LABELS, SST2_LABELS

_CLINC150 = """
accept_reservations account_blocked alarm application_status apr are_you_a_bot balance
bill_balance bill_due book_flight book_hotel calculator calendar calendar_update calories cancel
cancel_reservation car_rental card_declined carry_on change_accent change_ai_name change_language
change_speed change_user_name change_volume confirm_reservation cook_time credit_limit
credit_limit_change credit_score current_location damaged_card date definition direct_deposit
directions distance do_you_have_pets exchange_rate expiration_date find_phone flight_status
flip_coin food_last freeze_account fun_fact gas gas_type goodbye greeting how_busy how_old_are_you
improve_credit_score income ingredient_substitution ingredients_list insurance insurance_change
interest_rate international_fees international_visa jump_start last_maintenance lost_luggage
make_call maybe meal_suggestion meaning_of_life measurement_conversion meeting_schedule
min_payment mpg new_card next_holiday next_song no nutrition_info oil_change_how oil_change_when
order order_checks order_status pay_bill payday pin_change play_music plug_type pto_balance
pto_request pto_request_status pto_used recipe redeem_rewards reminder reminder_update repeat
replacement_card_duration report_fraud report_lost_card reset_settings restaurant_reservation
restaurant_reviews restaurant_suggestion rewards_balance roll_dice rollover_401k routing
schedule_maintenance schedule_meeting share_location shopping_list shopping_list_update smart_home
spelling spending_history sync_device taxes tell_joke text thank_you time timer timezone
tire_change tire_pressure todo_list todo_list_update traffic transactions transfer translate
travel_alert travel_notification travel_suggestion uber update_playlist user_name vaccines w2
weather what_are_your_hobbies what_can_i_ask_you what_is_your_name what_song where_are_you_from
whisper_mode who_do_you_work_for who_made_you yes oos
"""

_BANKING77 = """
Refund_not_showing_up activate_my_card age_limit apple_pay_or_google_pay atm_support
automatic_top_up balance_not_updated_after_bank_transfer
balance_not_updated_after_cheque_or_cash_deposit beneficiary_not_allowed cancel_transfer
card_about_to_expire card_acceptance card_arrival card_delivery_estimate card_linking
card_not_working card_payment_fee_charged card_payment_not_recognised
card_payment_wrong_exchange_rate card_swallowed cash_withdrawal_charge
cash_withdrawal_not_recognised change_pin compromised_card contactless_not_working country_support
declined_card_payment declined_cash_withdrawal declined_transfer
direct_debit_payment_not_recognised disposable_card_limits edit_personal_details exchange_charge
exchange_rate exchange_via_app extra_charge_on_statement failed_transfer fiat_currency_support
get_disposable_virtual_card get_physical_card getting_spare_card getting_virtual_card
lost_or_stolen_card lost_or_stolen_phone order_physical_card passcode_forgotten
pending_card_payment pending_cash_withdrawal pending_top_up pending_transfer pin_blocked
receiving_money request_refund reverted_card_payment? supported_cards_and_currencies
terminate_account top_up_by_bank_transfer_charge top_up_by_card_charge top_up_by_cash_or_cheque
top_up_failed top_up_limits top_up_reverted topping_up_by_card transaction_charged_twice
transfer_fee_charged transfer_into_account transfer_not_received_by_recipient transfer_timing
unable_to_verify_identity verify_my_identity verify_source_of_funds verify_top_up
virtual_card_not_working visa_or_mastercard why_verify_identity wrong_amount_of_cash_received
wrong_exchange_rate_for_cash_withdrawal
"""

_AAPD = """
cmp-lg cond-mat.dis-nn cond-mat.stat-mech cs.AI cs.CC cs.CE cs.CG cs.CL cs.CR cs.CV cs.CY cs.DB
cs.DC cs.DL cs.DM cs.DS cs.FL cs.GT cs.HC cs.IR cs.IT cs.LG cs.LO cs.MA cs.MM cs.MS cs.NA cs.NE
cs.NI cs.PF cs.PL cs.RO cs.SC cs.SE cs.SI cs.SY math.CO math.IT math.LO math.NA math.NT math.OC
math.PR math.ST nlin.AO physics.data-an physics.soc-ph q-bio.NC q-bio.QM quant-ph stat.AP stat.ME
stat.ML stat.TH
"""

CLINC150 = tuple(_CLINC150.split())
"""The 150 intents of CLINC150, sorted, and `oos` for texts out of scope."""

BANKING77 = tuple(_BANKING77.split())
"""The 77 intents of BANKING77, sorted."""

AAPD = tuple(_AAPD.split())
"""The 54 arXiv subjects of AAPD, sorted."""

_FEW_SHOT = f"{RAW}/tonyzhaozh/few-shot-learning/e04d8643be91c2cce63f33e07760ff75d5aa3ad0/data"
_AG = f"{RAW}/mhjabreel/CharCnn_Keras/555590db4219b1243abb1918effd6a7425a2d75f/data/ag_news_csv"

ROWS: tuple[Dataset, ...] = (
    Dataset(
        name="sst2",
        description="SST-2: sentiment of film review sentences, 2 labels",
        licence="none stated; used for research (text: Rotten Tomatoes reviews)",
        homepage="https://nlp.stanford.edu/sentiment/",
        family="classification",
        format="sst2",
        labels=SST2_LABELS,
        files={
            "train": RemoteFile(
                "stsa.binary.train",
                f"{_FEW_SHOT}/sst2/stsa.binary.train",
                "71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338",
                738_844,
            ),
            "dev": RemoteFile(
                "stsa.binary.dev",
                f"{_FEW_SHOT}/sst2/stsa.binary.dev",
                "02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1",
                94_400,
            ),
            "test": RemoteFile(
                "stsa.binary.test",
                f"{_FEW_SHOT}/sst2/stsa.binary.test",
                "6a80dc9b9a0db2d3b37f2f809304febad31c90ab67a5b4157b7d9f881c53ef5b",
                193_562,
            ),
        },
        sample=SAMPLES / "sst2",
    ),
    Dataset(
        name="ag_news",
        description="AG News: topic of news articles, 4 labels; training part of 9,774 articles",
        licence="research and other non-commercial use",
        homepage="https://github.com/mhjabreel/CharCnn_Keras",
        family="classification",
        format="ag-csv",
        labels=AG_LABELS,
        files={
            "train": RemoteFile(
                "train.csv",
                None,
                "786f630405986ac85373869992e32384377ab40f295bfbf46fe114fd12c6f884",
                2_382_978,
            ),
            "test": RemoteFile(
                "test.csv",
                f"{_AG}/test.csv",
                "521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699",
                1_857_427,
            ),
        },
        official={
            "train": RemoteFile(
                "train.csv",
                f"{_AG}/train.csv",
                "76a0a2d2f92b286371fe4d4044640910a04a803fdd2538e0f3f29a5c6f6b672e",
                29_470_338,
            )
        },
        sample=SAMPLES / "ag_news",
    ),
    Dataset(
        name="trec",
        description="TREC questions: what the answer is, 6 labels (50 with column='fine')",
        licence="none stated; offered for research",
        homepage="https://cogcomp.seas.upenn.edu/Data/QA/QC/",
        family="classification",
        format="trec",
        labels=("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"),
        files={  # as published, and with a newline at the end
            "train": RemoteFile(
                "train.txt",
                None,
                "56aa6db9296c8bd5f7b44caa051dee94c15c8c5b274fcda2bc1c409fef5969eb",
                335_860,
            ),
            "test": RemoteFile(
                "test.txt",
                None,
                "033f22c028c2bbba9ca682f68ffe204dc1aa6e1cf35dd6207f2d4ca67f0d0e8e",
                23_354,
            ),
        },
        official={
            "train": RemoteFile(
                "train.txt",
                f"{_FEW_SHOT}/trec/train.txt",
                "202e3e1ad6143ed4f147f199324277e25b2573a78c08c3af1ff840b49c0779de",
                335_859,
            ),
            "test": RemoteFile(
                "test.txt",
                f"{_FEW_SHOT}/trec/test.txt",
                "69b2d406aa15b3b514b6bf9b3bf1fa2c3515ce7ae744651173f8e57347bfb2a9",
                23_353,
            ),
        },
        sample=SAMPLES / "trec",
    ),
)
